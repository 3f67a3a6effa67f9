/* make bench: ours and PyTorch's time for the same work, measured in one run.
 *
 * Each measurement runs in a process of its own, so that its peak memory is its own; ours and PyTorch's take turns, so
 * that a disturbance meets both. On stdout one line of JSON a case:
 *
 *   ours, torch   medians, in `unit`; torch is null where python3-torch is missing or the case has no peer
 *   ratio         how many times faster ours is, whatever the unit;  target: what is wanted
 *   floor         no program can do better in float32 with these operations: FLOPs / measured peak, or bytes / measured
 *                 bandwidth of the last cache;  peak_share: floor / ours
 *
 * and on stderr a table at the end. The networks are in cases.c and peers.py. */
#include "tests/bench/bench.h"

#include "base/cli.h"
#include "base/file.h"
#include "nn/profile.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *cases, *threads, *python, *child;
    double      seconds;
    int64_t     rounds;
    int         list, ours_only, profile;
} args = { "*", "2,1", "/usr/bin/python3", NULL, 4, 2, 0, 0, 0 };

static const bl_cli_option options[] = {
    { "cases", 'c', BL_CLI_TEXT, &args.cases, "GLOBS", "cases, separated by commas (*)" },
    { "threads", 't', BL_CLI_TEXT, &args.threads, "LIST", "numbers of threads, separated by commas (2,1)" },
    { "seconds", 's', BL_CLI_REAL, &args.seconds, "S", "time for each measurement, after one to warm up (4)" },
    { "rounds", 'r', BL_CLI_INT, &args.rounds, "N", "turns of ours and PyTorch (2)" },
    { "python", 0, BL_CLI_TEXT, &args.python, "PROGRAM", "Python with PyTorch (/usr/bin/python3)" },
    { "ours-only", 0, BL_CLI_FLAG, &args.ours_only, NULL, "without PyTorch" },
    { "list", 'l', BL_CLI_FLAG, &args.list, NULL, "name the cases and stop" },
    { "child", 0, BL_CLI_TEXT, &args.child, "CASE", "measure ours in this process (what the driver starts)" },
    { "profile", 'p', BL_CLI_FLAG, &args.profile, NULL, "with --child: which ops the time goes to" },
    { NULL },
};

static const bl_cli_program program = {
    .name = "bench",
    .usage = "[options]",
    .summary = "Times ours and PyTorch's, case by case; run from the top of the source tree.",
    .examples = "  make bench\n"
                "  make bench CASES='wavegan.*,mlp.*' THREADS=2 SECONDS=10\n"
                "  OMP_NUM_THREADS=2 build/release/tests/bench/bench --child wavegan.train.d16.b16 --profile\n",
};

/* ---- one measurement, in its own process ---- */

void bench_measure(nn_tape *tape, double (*step)(void *state), void *state)
{
    double value = step(state);
    int n = 0;
    if (args.profile)
        nn_profile_start(tape, &tape->err);
    const double start = bl_seconds();
    for (; !isnan(value) && (n < 2 || bl_seconds() - start < args.seconds); n++) {
        value = step(state);
        printf("sample %.9g\n", value);
    }
    if (args.profile && !tape->err.code)
        nn_profile_print(tape, n, 20, stdout);
}

static double peak_mb(void)
{
    char line[256];
    double kb = NAN;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb / 1024;
}

static const bench_case *find_case(const char *name)
{
    for (const bench_case *c = bench_cases; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static int run_child(void)
{
    bl_error err = { BL_OK, "" };
    const bench_case *c = find_case(args.child);
    if (!c)
        bl_fail(&err, BL_EARG, "there is no case \"%s\"; --list names them", args.child);
    if (!c || c->run(c, &err) != BL_OK)
        return bl_cli_fail(&program, &err);
    printf("peak_mb %.1f\n", peak_mb());
    return 0;
}

/* ---- the driver ---- */

enum { MAX_SAMPLES = 4096 };

typedef struct side {
    double sample[MAX_SAMPLES];
    int    n;
    double peak_mb;
    char   version[64];
} side;

typedef struct result {
    const bench_case *c;
    int    threads;
    double ours, torch, ratio, floor, memory;
} result;

/* Runs a command and adds what it reports. */
static void measure(const char *command, side *s)
{
    char line[256];
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f)) {
        double v;
        if (sscanf(line, "sample %lf", &v) == 1 && s->n < MAX_SAMPLES)
            s->sample[s->n++] = v;
        else if (sscanf(line, "peak_mb %lf", &v) == 1)
            s->peak_mb = fmax(s->peak_mb, v);
        else
            sscanf(line, "version %63s", s->version);
    }
    if (f)
        pclose(f);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(side *s)
{
    qsort(s->sample, (size_t)s->n, sizeof *s->sample, ascending);
    return s->n ? (s->sample[(s->n - 1) / 2] + s->sample[s->n / 2]) / 2 : (double)NAN;
}

static void put(const char *key, double v)
{
    if (isfinite(v))
        printf(", \"%s\": %.5g", key, v);
    else
        printf(", \"%s\": null", key);
}

/* What makes PyTorch fastest on a CPU: the OpenMP build of OpenBLAS (the pthread build fights with its own threads), and a
 * malloc that keeps memory instead of taking the page faults anew in each step. Which of OpenBLAS's kernels are faster differs
 * from case to case: the first turn tries those for AVX2, too. */
static const char *torch_settings(int avx2)
{
    static char text[512];
    static const char *const blas[] = { "/usr/lib/x86_64-linux-gnu/openblas-openmp", "/usr/lib/aarch64-linux-gnu/openblas-openmp" };
    const char *dir = NULL;
    for (size_t i = 0; i < sizeof blas / sizeof *blas && !dir; i++)
        dir = access(blas[i], R_OK) == 0 ? blas[i] : NULL;
    snprintf(text, sizeof text, "%s%s%s%sGLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold="
                                "17179869184:glibc.malloc.top_pad=268435456",
             avx2 ? "OPENBLAS_CORETYPE=Haswell " : "", dir ? "LD_LIBRARY_PATH=" : "", dir ? dir : "", dir ? " " : "");
    return text;
}

static int has_avx2(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

static void measure_torch(const bench_case *c, int threads, int avx2, side *s)
{
    char command[1024];
    snprintf(command, sizeof command, "env OMP_NUM_THREADS=%d %s '%s' tests/bench/peers.py %s --threads %d --seconds %g", threads,
             torch_settings(avx2), args.python, c->name, threads, args.seconds);
    measure(command, s);
}

static result compare(const bench_case *c, int threads, const char *self, int with_torch, double peak, double bandwidth)
{
    static side ours, kind[2]; /* PyTorch with OpenBLAS's own choice of kernels, and with those for AVX2 */
    char command[1024];
    int avx2 = 0;
    memset(&ours, 0, sizeof ours);
    memset(kind, 0, sizeof kind);
    for (int64_t r = 0; r < args.rounds; r++) {
        snprintf(command, sizeof command, "OMP_NUM_THREADS=%d '%s' --child %s --seconds %g", threads, self, c->name, args.seconds);
        measure(command, &ours);
        if (with_torch)
            measure_torch(c, threads, avx2, &kind[avx2]);
        if (with_torch && r == 0 && has_avx2()) {
            measure_torch(c, threads, 1, &kind[1]);
            avx2 = c->is_rate ? median(&kind[1]) > median(&kind[0]) : median(&kind[1]) < median(&kind[0]);
        }
    }
    side torch = kind[avx2];
    result r = { .c = c, .threads = threads, .ours = median(&ours), .torch = median(&torch) };
    const double seconds = fmax(c->flops / peak, c->bytes / bandwidth);
    r.floor = c->is_rate ? 1 / seconds : seconds;
    r.ratio = c->is_rate ? r.ours / r.torch : r.torch / r.ours;
    r.memory = torch.n ? torch.peak_mb / ours.peak_mb : (double)NAN;
    printf("{\"case\": \"%s\", \"threads\": %d", c->name, threads);
    put("ours", r.ours);
    put("torch", r.torch);
    printf(", \"unit\": \"%s\"", c->unit);
    put("ratio", r.ratio);
    put("target", c->target);
    put("floor", r.floor);
    put("peak_share", c->is_rate ? r.ours / r.floor : r.floor / r.ours);
    put("ours_peak_mb", ours.n ? ours.peak_mb : (double)NAN);
    put("torch_peak_mb", torch.n ? torch.peak_mb : (double)NAN);
    put("ours_min", ours.n ? ours.sample[0] : (double)NAN);
    put("ours_max", ours.n ? ours.sample[ours.n - 1] : (double)NAN);
    put("torch_min", torch.n ? torch.sample[0] : (double)NAN);
    put("torch_max", torch.n ? torch.sample[torch.n - 1] : (double)NAN);
    printf(", \"n\": %d, \"torch_n\": %d, \"torch_version\": \"%s\", \"torch_settings\": \"%s\", \"peak_gflops\": %.1f, "
           "\"cache_gb_s\": %.1f}\n",
           ours.n, torch.n, torch.version, torch.n ? torch_settings(avx2) : "", peak * 1e-9, bandwidth * 1e-9);
    fflush(stdout);
    return r;
}

static void cell(double v)
{
    if (isfinite(v))
        fprintf(stderr, " %9.4g", v);
    else
        fprintf(stderr, " %9s", "-");
}

static void print_table(const result *r, int n)
{
    fprintf(stderr, "\n%-24s %7s %9s %9s %9s %9s %9s %9s  %s\n", "case", "threads", "ours", "torch", "floor", "ratio", "wanted",
            "memory", "unit");
    for (int i = 0; i < n; i++) {
        fprintf(stderr, "%-24s %7d", r[i].c->name, r[i].threads);
        cell(r[i].ours);
        cell(r[i].torch);
        cell(r[i].floor);
        cell(r[i].ratio);
        cell(r[i].c->target);
        cell(r[i].memory);
        fprintf(stderr, "  %s%s\n", r[i].c->unit,
                !isfinite(r[i].ratio) ? "" : r[i].ratio >= r[i].c->target ? ", met" : ", missed");
    }
    fprintf(stderr, "ratio: how many times faster than PyTorch; memory: how many times less at the peak (wanted: 2)\n");
}

static int is_chosen(const bench_case *c)
{
    char list[1024];
    snprintf(list, sizeof list, "%s", args.cases);
    for (char *rest = list, *glob; (glob = strtok_r(rest, ",", &rest));)
        if (fnmatch(glob, c->name, 0) == 0)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    static result results[256];
    int n = 0, n_positional = 0;
    const char *positional[1];
    char command[512], threads_list[128];
    const int status = bl_cli_parse(&program, options, argc, argv, positional, &n_positional);
    if (status >= 0)
        return status;
    for (const bench_case *c = bench_cases; args.list && c->name; c++)
        puts(c->name);
    if (args.list)
        return 0;
    if (args.child)
        return run_child();
    snprintf(command, sizeof command, "'%s' -c 'import torch' 2>/dev/null", args.python);
    const int with_torch = !args.ours_only && system(command) == 0;
    if (!with_torch)
        fprintf(stderr, "bench: without PyTorch (Debian: apt install python3-torch libopenblas0-openmp)\n");
    snprintf(threads_list, sizeof threads_list, "%s", args.threads);
    for (char *rest = threads_list, *word; (word = strtok_r(rest, ",", &rest));) {
        const int threads = atoi(word);
        if (threads < 1) {
            fprintf(stderr, "bench: --threads takes positive numbers, separated by commas, not \"%s\"\n", args.threads);
            return 2;
        }
        const double peak = bench_peak_flops(threads), bandwidth = bench_cache_bandwidth(threads);
        for (const bench_case *c = bench_cases; c->name && n < 256; c++)
            if (is_chosen(c) && (!c->max_threads || threads <= c->max_threads))
                results[n++] = compare(c, threads, argv[0], with_torch, peak, bandwidth);
    }
    if (n == 0) {
        fprintf(stderr, "bench: no case fits \"%s\" with %s threads; --list names them\n", args.cases, args.threads);
        return 2;
    }
    print_table(results, n);
    return 0;
}
