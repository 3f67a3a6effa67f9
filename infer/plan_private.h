/* What the plan's files share; not for others.
 *
 *     plan.c        a plan in memory; which part follows from which, and how an edit is recognised
 *     plan_read.c   JSON -> plan, every value checked
 *     plan_write.c  plan -> JSON, key by key in the order of reading
 */
#ifndef BL_INFER_PLAN_PRIVATE_H
#define BL_INFER_PLAN_PRIVATE_H

#include "infer/plan.h"

#include <jansson.h>

/* A key of the JSON whose edit is recognised: what it fills in, and what is out of date when it changes. */
typedef struct infer_plan_part {
    const char *key;
    unsigned    has, stale;
} infer_plan_part;

extern const infer_plan_part infer_plan_parts[]; /* in the order in which one follows from another */
extern const int             infer_plan_n_parts;

/* What a value says, however it is spelled. */
uint64_t infer_plan_fingerprint(const json_t *value);

/* What edits of the file have put out of date: INFER_HAS_ bits. */
unsigned infer_plan_stale(const json_t *root);

/* The value of a key; NULL: missing or null. */
const json_t *infer_plan_present(const json_t *root, const char *key);

/* To 10 us. */
double infer_plan_rounded(double seconds);

#endif
