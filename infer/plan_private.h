/* What the plan's files share; not for others.
 *
 *     plan.c        a plan in memory; which part follows from which, and how an edit is recognised
 *     plan_read.c   JSON -> plan, every value checked
 *     plan_locate.c where in the text a value stands, for messages
 *     plan_origin.c what the notes were made for; which bars of them are out of date
 *     plan_sheet.c  chords given as a chord sheet
 *     plan_write.c  plan -> JSON, key by key in the order of reading
 */
#ifndef BL_INFER_PLAN_PRIVATE_H
#define BL_INFER_PLAN_PRIVATE_H

#include "infer/plan.h"

#include <jansson.h>

/* What tempo and meter may be. A MIDI file may have others, which are not written: its beats and bars say enough. */
enum { INFER_PLAN_LEAST_BPM = 20, INFER_PLAN_MOST_BPM = 400, INFER_PLAN_LEAST_METER = 2, INFER_PLAN_MOST_METER = 12 };

/* A key of the JSON whose edit is recognised: what it fills in, and what is out of date when it changes. */
typedef struct infer_plan_part {
    const char *key;
    unsigned    has, stale;
} infer_plan_part;

extern const infer_plan_part infer_plan_parts[]; /* in the order in which one follows from another */
extern const int             infer_plan_n_parts;

/* What a value says, however it is spelled. */
uint64_t infer_plan_fingerprint(const json_t *value);

/* What edits of the file have put out of date: INFER_HAS_ bits. What was edited itself comes in *edited (may be NULL). Edits of
 * the parts in `local` are left to others. */
unsigned infer_plan_stale(const json_t *root, unsigned local, unsigned *edited);

/* The line of the text, which is good JSON, in which the value at a place ("notes[3].pitch") stands; of what should hold it
 * when it is missing; 0 when even that is unknown. */
int infer_plan_line(const char *text, const char *place);

/* made_from's fingerprints of the notes, bar by bar, and the chords that they go with. */
void infer_plan_write_origin(const infer_plan *plan, json_t *made_from);

/* After everything else was read: which notes are still as they were written. Returns 1 when the file says so and its bars are
 * the ones that were written, 0 when it has to be taken as a whole. */
int infer_plan_read_origin(const json_t *root, infer_plan *plan);

/* The value of a key; NULL: missing or null. */
const json_t *infer_plan_present(const json_t *root, const char *key);

/* To 10 us. */
double infer_plan_rounded(double seconds);

#endif
