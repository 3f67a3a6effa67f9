#define _POSIX_C_SOURCE 200809L
#include "base/progress.h"
#include "base/file.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { TERMINAL_INTERVAL_MS = 100, PIPE_INTERVAL_S = 10 };

void bl_progress_start(bl_progress *p, const char *what, const char *unit, int64_t total, int quiet)
{
    *p = (bl_progress){ .what = what, .unit = unit, .total = total, .quiet = quiet };
    p->terminal = isatty(STDERR_FILENO);
    p->start_s = bl_seconds();
    p->last_s = p->start_s - (p->terminal ? 1 : 0);
}

const char *bl_format_duration(double seconds, char out[32])
{
    const long s = seconds > 0 ? lround(seconds) : 0;
    if (s >= 3600)
        snprintf(out, 32, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, 32, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld s", s);
    return out;
}

static void draw(bl_progress *p, int64_t done, const char *extra, double now)
{
    char left[32];
    const double elapsed = now - p->start_s;
    const double rate = elapsed > 0 ? (double)(done - p->first) / elapsed : 0;
    const double remaining = rate > 0 ? (double)(p->total - done) / rate : 0;
    fprintf(stderr, "%s%s %lld/%lld %s, %.3g/s, %s left%s%s%s", p->terminal ? "\r" : "", p->what,
            (long long)done, (long long)p->total, p->unit, rate, bl_format_duration(remaining, left),
            *extra ? ", " : "", extra, p->terminal ? "\033[K" : "\n");
    fflush(stderr);
    p->drawn = 1;
}

void bl_progress_step(bl_progress *p, int64_t done, const char *extra)
{
    const double now = bl_seconds();
    const double interval = p->terminal ? 1e-3 * TERMINAL_INTERVAL_MS : PIPE_INTERVAL_S;
    if (p->quiet || (now - p->last_s < interval && done != p->total))
        return;
    p->last_s = now;
    draw(p, done, extra, now);
}

void bl_progress_end(bl_progress *p)
{
    if (p->drawn && p->terminal)
        fputc('\n', stderr);
    p->drawn = 0;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = 1;
    signal(number, SIG_DFL);
}

void bl_catch_interrupt(void)
{
    interrupted = 0;
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
}

int bl_interrupted(void)
{
    return interrupted;
}
