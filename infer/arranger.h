/* The arranger at work: music/arrange.h for the instruments of the plan, in the style of its genre.
 *
 * Style     The genre's file (infer/genre.h).
 * Obeying   An instrument for which the plan has notes keeps them; the others are arranged around the same beats, chords
 *           and melody. Tracks are put in the order of plan->instruments; notes of others are dropped.
 * Drums     where the style lets them be (feel above 0), as blocks/drummer.h plays them.
 * Errors    BL_EIO: no drummer.h5. BL_EARG: no style for the genre; a note or beat of the plan beyond the song's end; what music_arrange says.
 * Tested    tests/infer/test_pipeline.c
 */
#ifndef BL_INFER_ARRANGER_H
#define BL_INFER_ARRANGER_H

#include "infer/plan.h"

/* model_dir: where drummer.h5 is, or else the one that ships. */
bl_status infer_arranger_run(infer_plan *plan, const char *model_dir, bl_error *err);

#endif
