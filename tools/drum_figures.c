/* drum_figures DATASET: what a drummer.h5 is worth on performances that were held out, as JSON (make evaluate TASKS=drums). */
#include "base/cli.h"
#include "base/file.h"
#include "blocks/drummer_train.h"

#include <stdio.h>

static struct {
    const char *model;
    int64_t     seed;
} args = { "models", 1 };

static const bl_cli_program program = {
    .name = "drum_figures",
    .usage = "[options] DATASET_DIR",
    .summary = "Judges drummer.h5 on the performances of DATASET_DIR (as train_drummer reads it) whose split is not \"train\",\n"
               "beside simpler players that know the others, and beside the same people playing the same bar again. JSON.",
    .examples = "  drum_figures groove\n",
    .min_positional = 1, .max_positional = 1
};

static const bl_cli_option options[] = {
    { "model", 'm', BL_CLI_TEXT, &args.model, "DIR", "folder of drummer.h5 (models)" },
    { "seed", 0, BL_CLI_INT, &args.seed, "N", "other draws (1)" },
    { 0 }
};

static void print_players(const char *name, const blocks_drum_figures *f, int n)
{
    printf(", \"%s\": {", name);
    for (int p = 0; p < n; p++)
        printf("%s\"%s\": {\"velocity_mae\": %.4f, \"velocity_r2\": %.4f, \"offset_mae_ms\": %.4f, \"offset_r2\": %.4f, \"velocity_kl\": %.4f, "
               "\"offset_kl\": %.4f}", p ? ", " : "", blocks_drum_player_names[p], f[p].velocity_mae, f[p].velocity_r2, f[p].offset_mae_ms,
               f[p].offset_r2, f[p].velocity_kl, f[p].offset_kl);
    printf("}");
}

int main(int argc, char **argv)
{
    const char *positional[1];
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    blocks_drum_songs songs = { 0 };
    blocks_drum_score s;
    int n;
    const int rc = bl_cli_parse(&program, options, argc, argv, positional, &n);
    if (rc >= 0)
        return rc;
    blocks_drummer *d = bl_path_join(path, args.model, "drummer.h5", &err) == BL_OK ? blocks_drummer_load(path, &err) : NULL;
    bl_status status = d ? blocks_drum_songs_collect(positional[0], d, 0, NULL, NULL, &songs, &err) : err.code;
    if (status == BL_OK)
        status = blocks_drum_score_run(d, &songs, BLOCKS_DRUM_HELD_OUT, (uint64_t)args.seed, &s, &err);
    if (status == BL_OK && !s.n_songs)
        status = bl_fail(&err, BL_EFORMAT, "%s: no performance is held out: the split of all is \"train\"", positional[0]);
    if (status == BL_OK) {
        printf("{\"performances\": %d, \"hits\": %lld, \"repeated_hits\": %lld, \"nats_per_hit\": %.4f, \"together\": %.4f, "
               "\"halves\": {\"velocity_kl\": %.4f, \"offset_kl\": %.4f}", s.n_songs, (long long)s.n_hits, (long long)s.n_repeated, s.loss,
               s.together, s.halves_velocity_kl, s.halves_offset_kl);
        print_players("all", s.all, BLOCKS_DRUM_REPEAT);
        print_players("repeated", s.repeated, BLOCKS_DRUM_PLAYERS);
        printf("}\n");
    }
    blocks_drum_songs_free(&songs);
    blocks_drummer_free(d);
    return status == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
