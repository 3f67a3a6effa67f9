/* The validator at work: who plays. Checks the genre, chooses the band when nobody named one, drops or replaces
 * instruments that do not fit the genre (data/validator.h) or that the synthesizer has not learned, and writes the
 * reasons into the plan.
 *
 * Band      named (`names`): as named. Else the plan's own, if it has one; obeyed as it stands. Else the plan's notes say
 *           it. Else, when a song's own band is dropped, the instruments heard in it; else the genre's usual band, without
 *           those that are heard and kept.
 * Force     an instrument with a ! behind its name ("violin!, bass") is accepted whether it fits or not; `force` means all.
 * Numbers   every entry gets what the validator knows of it: plan.h's probability, table, count, songs, threshold.
 * Errors    BL_EARG: unknown genre or instrument (with the nearest name), an instrument named twice, nobody left to play.
 * Memory    Borrows everything.
 * Tested    tests/infer/test_validator.c
 */
#ifndef BL_INFER_VALIDATOR_H
#define BL_INFER_VALIDATOR_H

#include "data/validator.h"
#include "infer/analyzer.h"
#include "infer/tone_generator.h"

typedef struct infer_band_request {
    const char *names;      /* "electric guitar, bass, drums"; NULL: not given */
    int         force;      /* accept what does not fit the genre              */
    const char *model_dir;  /* for counts learned from a dataset (validator.h5, may be missing) */
} infer_band_request;

/* Can the genre of the plan be played? BL_EARG with the nearest name. Call as soon as the genre is given. Sets plan->genre_band. */
bl_status infer_check_genre(infer_plan *plan, const char *model_dir, bl_error *err);

/* Checks a list of names without deciding anything. */
bl_status infer_check_instruments(const char *names, bl_error *err);

bl_status infer_validate(infer_plan *plan, const infer_song *song, const infer_band_request *request,
                         const infer_tone_generator *generator, bl_error *err);

#endif
