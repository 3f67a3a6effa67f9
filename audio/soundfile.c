#include "audio/soundfile.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_BLOCK  = 65536,
    WRITE_BLOCK = 4096,     /* libvorbis puts a whole block on the stack */
    MAX_RATE    = 2822400
};

/* Larger than any recording at any integer scale, small enough that squares and sums stay finite. */
static const float max_sample = 1e6f;

/* ---- reading ---- */

static void describe(const SF_INFO *info, char out[96])
{
    SF_FORMAT_INFO major = { .format = info->format & SF_FORMAT_TYPEMASK };
    SF_FORMAT_INFO minor = { .format = info->format & SF_FORMAT_SUBMASK };
    sf_command(NULL, SFC_GET_FORMAT_INFO, &major, sizeof major);
    sf_command(NULL, SFC_GET_FORMAT_INFO, &minor, sizeof minor);
    snprintf(out, 96, "%s, %s", major.name ? major.name : "unknown", minor.name ? minor.name : "unknown");
}

/* Bytes of the MPEG audio frame whose header stands at h; 0 when none does. */
static int mpeg_frame_bytes(const unsigned char *h)
{
    static const short kbit[5][15] = {
        { 0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448 },   /* MPEG 1 layer I   */
        { 0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384 },      /*        layer II  */
        { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },       /*        layer III */
        { 0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256 },      /* MPEG 2 layer I   */
        { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },           /*        II, III   */
    };
    static const int hz[3] = { 44100, 48000, 32000 };
    const int version = h[1] >> 3 & 3, layer = 4 - (h[1] >> 1 & 3), rate = h[2] >> 2 & 3, bits = h[2] >> 4;
    if (h[0] != 0xFF || h[1] < 0xE0 || version == 1 || layer == 4 || rate == 3 || bits == 0 || bits == 15)
        return 0;
    const int is_1 = version == 3, row = is_1 ? layer - 1 : layer == 1 ? 3 : 4;
    const int per_second = 1000 * kbit[row][bits], sample_rate = hz[rate] >> (is_1 ? 0 : version == 2 ? 1 : 2);
    const int padding = h[2] >> 1 & 1;
    return layer == 1 ? (12 * per_second / sample_rate + padding) * 4
                      : (layer == 3 && !is_1 ? 72 : 144) * per_second / sample_rate + padding;
}

/* Two frames in a row near the start (after an ID3 tag), or one that fills the file. The decoder behind
 * libsndfile looks for long, and says so on stderr, when a file only carries the name. */
static int looks_like_mpeg(const char *path)
{
    enum { WINDOW = 65536 };
    unsigned char *b = malloc(WINDOW);
    FILE *f = fopen(path, "rb");
    size_t n = b && f ? fread(b, 1, WINDOW, f) : 0;
    int found = 0;
    if (n >= 10 && memcmp(b, "ID3", 3) == 0) {
        const long tag = 10 + ((long)(b[6] & 127) << 21 | (long)(b[7] & 127) << 14 | (long)(b[8] & 127) << 7 | (b[9] & 127));
        n = fseek(f, tag, SEEK_SET) == 0 ? fread(b, 1, WINDOW, f) : 0;
    }
    for (size_t i = 0; i + 4 <= n && !found; i++) {
        const size_t bytes = (size_t)mpeg_frame_bytes(b + i);
        found = bytes > 0 && (i + bytes + 4 <= n ? mpeg_frame_bytes(b + i + bytes) > 0 : i == 0 || i + bytes == n);
    }
    if (f)
        fclose(f);
    free(b);
    return found;
}

static int starts_like_another_format(const char *path)
{
    char b[4] = { 0 };
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(b, 1, 4, f) : 0;
    if (f)
        fclose(f);
    return n == 4 && (!memcmp(b, "RIFF", 4) || !memcmp(b, "fLaC", 4) || !memcmp(b, "OggS", 4) || !memcmp(b, "FORM", 4));
}

static SNDFILE *open_to_read(const char *path, SF_INFO *info, int64_t *n_bytes, bl_error *err)
{
    struct stat st;
    *info = (SF_INFO){ 0 };
    if (stat(path, &st) != 0) {
        bl_fail(err, BL_EIO, "%s: cannot open: %s", path, strerror(errno));
        return NULL;
    }
    *n_bytes = st.st_size;
    if (S_ISDIR(st.st_mode)) {
        bl_fail(err, BL_EFORMAT, "%s: is a folder, expected a sound file", path);
        return NULL;
    }
    if (st.st_size == 0 && S_ISREG(st.st_mode)) {
        bl_fail(err, BL_EFORMAT, "%s: the file is empty (0 bytes)", path);
        return NULL;
    }
    if (access(path, R_OK) != 0) {
        bl_fail(err, BL_EIO, "%s: cannot open: %s", path, strerror(errno));
        return NULL;
    }
    if (strcasecmp(bl_path_extension(path), "mp3") == 0 && !starts_like_another_format(path) && !looks_like_mpeg(path)) {
        bl_fail(err, BL_EFORMAT, "%s: not a sound file that can be read (no MPEG audio found in it)", path);
        return NULL;
    }
    SNDFILE *f = sf_open(path, SFM_READ, info);
    if (!f) {
        /* libsndfile's own sentences end with a full stop; ours do not. */
        char reason[160];
        snprintf(reason, sizeof reason, "%s", sf_strerror(NULL));
        const size_t n = strcspn(reason, "\n");
        reason[n] = '\0';
        if (n > 0 && reason[n - 1] == '.')
            reason[n - 1] = '\0';
        bl_fail(err, BL_EFORMAT, "%s: not a sound file that can be read (%s)", path, reason);
        return NULL;
    }
    if (info->channels < 1 || info->channels > AUDIO_MAX_CHANNELS)
        bl_fail(err, BL_EFORMAT, "%s: expected 1 to %d channels, got %d", path, AUDIO_MAX_CHANNELS, info->channels);
    else if (info->samplerate < 1 || info->samplerate > MAX_RATE)
        bl_fail(err, BL_EFORMAT, "%s: expected a sample rate of 1 to %d Hz, got %d", path, MAX_RATE, info->samplerate);
    else
        return f;
    sf_close(f);
    return NULL;
}

/* 0 where the header does not know. */
static int64_t header_length(const SF_INFO *info)
{
    return info->frames > 0 && info->frames < SF_COUNT_MAX ? info->frames : 0;
}

bl_status audio_info(const char *path, audio_file_info *out, bl_error *err)
{
    SF_INFO info;
    int64_t n_bytes;
    bl_error own = { 0 };
    *out = (audio_file_info){ 0 };
    SNDFILE *f = open_to_read(path, &info, &n_bytes, &own);
    if (!f)
        return bl_fail(err, own.code, "%s", own.msg);
    out->n_samples = header_length(&info);
    out->n_channels = info.channels;
    out->sample_rate = info.samplerate;
    out->duration_s = (double)out->n_samples / info.samplerate;
    describe(&info, out->format);
    sf_close(f);
    return BL_OK;
}

/* Planar samples that grow; each channel has room for `capacity`. */
typedef struct planar {
    float  *samples;
    int64_t n, capacity;
    int64_t before;   /* samples of the file that came before these */
    int     n_channels;
} planar;

static int grow(planar *p, int64_t capacity)
{
    if (capacity > INT64_MAX / (int64_t)sizeof(float) / p->n_channels)
        return 0;
    float *bigger = malloc(sizeof(float) * (size_t)capacity * (size_t)p->n_channels);
    if (!bigger)
        return 0;
    for (int c = 0; c < p->n_channels && p->n > 0; c++)
        memcpy(bigger + c * capacity, p->samples + c * p->capacity, sizeof(float) * (size_t)p->n);
    free(p->samples);
    p->samples = bigger;
    p->capacity = capacity;
    return 1;
}

/* Moves the channels together and gives the rest back. */
static void shrink(planar *p)
{
    for (int c = 1; c < p->n_channels && p->n < p->capacity; c++)
        memmove(p->samples + c * p->n, p->samples + c * p->capacity, sizeof(float) * (size_t)p->n);
    p->capacity = p->n;
    float *smaller = realloc(p->samples, sizeof(float) * (size_t)p->n * (size_t)p->n_channels);
    if (smaller)
        p->samples = smaller;
}

static bl_status append(planar *p, const float *block, int64_t n, const char *path, int rate, bl_error *err)
{
    if (p->n + n > p->capacity && !grow(p, 2 * p->capacity > p->n + n ? 2 * p->capacity : p->n + n))
        return bl_fail(err, BL_ENOMEM, "%s: no memory for more than %.1f s of it", path, (double)p->n / rate);
    for (int c = 0; c < p->n_channels; c++) {
        float *to = p->samples + c * p->capacity + p->n;
        for (int64_t i = 0; i < n; i++) {
            const float v = block[i * p->n_channels + c];
            if (!(fabsf(v) <= max_sample))
                return bl_fail(err, BL_ENAN, "%s: sample %lld of channel %d (at %.3f s) is %s", path,
                               (long long)(p->before + p->n + i), c + 1, (double)(p->before + p->n + i) / rate,
                               isnan(v) ? "not a number" : isinf(v) ? "infinite" : "over a million times full scale");
            to[i] = v;
        }
    }
    p->n += n;
    return BL_OK;
}

/* How many samples to make room for at first: the header's word, as far as the file's size makes it
 * credible (no format here packs tighter than 1:64 for real sound). */
static int64_t first_capacity(const SF_INFO *info, int64_t n_bytes)
{
    const int64_t credible = (n_bytes / info->channels + 1) * 16;
    const int64_t n = header_length(info);
    return n == 0 || n > credible ? READ_BLOCK : n;
}

/* These say exactly how long they are, so a short read means a damaged file. wav and aiff are cut to what
 * is there by libsndfile itself, and mp3 lengths are estimates. */
static int length_is_exact(const SF_INFO *info)
{
    const int major = info->format & SF_FORMAT_TYPEMASK;
    return major == SF_FORMAT_FLAC || major == SF_FORMAT_OGG;
}

/* Nothing more can be read: was that all? */
static bl_status check_end(SNDFILE *f, const SF_INFO *info, const char *path, int64_t n, bl_error *err)
{
    if (length_is_exact(info) && n < header_length(info))
        return bl_fail(err, BL_EFORMAT, "%s: damaged or cut short: %lld samples could be read of the %lld it should have",
                       path, (long long)n, (long long)info->frames);
    if (sf_error(f) != SF_ERR_NO_ERROR)
        return bl_fail(err, BL_EFORMAT, "%s: damaged after %.3f s: %s", path, (double)n / info->samplerate, sf_strerror(f));
    if (n == 0)
        return bl_fail(err, BL_EFORMAT, "%s: contains no samples", path);
    return BL_OK;
}

static bl_status read_all(SNDFILE *f, const SF_INFO *info, const char *path, double max_seconds, planar *p,
                          float *block, bl_error *err)
{
    const double max_samples = max_seconds > 0 ? max_seconds * info->samplerate : HUGE_VAL;
    if ((double)header_length(info) > max_samples && length_is_exact(info))
        return bl_fail(err, BL_EFORMAT, "%s: longer than the limit of %g s (%.1f s)", path, max_seconds,
                       (double)info->frames / info->samplerate);
    for (;;) {
        const int64_t got = sf_readf_float(f, block, READ_BLOCK);
        if (got <= 0)
            break;
        if ((double)(p->n + got) > max_samples)
            return bl_fail(err, BL_EFORMAT, "%s: longer than the limit of %g s", path, max_seconds);
        const bl_status status = append(p, block, got, path, info->samplerate, err);
        if (status != BL_OK)
            return status;
    }
    return check_end(f, info, path, p->n, err);
}

bl_status audio_read(const char *path, double max_seconds, audio_clip *clip, bl_error *err)
{
    SF_INFO info;
    int64_t n_bytes = 0;
    planar p = { 0 };
    float *block = NULL;
    bl_error own = { 0 };

    *clip = (audio_clip){ 0 };
    SNDFILE *f = open_to_read(path, &info, &n_bytes, &own);
    if (!f)
        return bl_fail(err, own.code, "%s", own.msg);
    p.n_channels = info.channels;
    block = malloc(sizeof *block * READ_BLOCK * (size_t)info.channels);
    if (!block || !grow(&p, first_capacity(&info, n_bytes)))
        bl_fail(&own, BL_ENOMEM, "%s: no memory to read it", path);
    else
        read_all(f, &info, path, max_seconds, &p, block, &own);
    free(block);
    sf_close(f);
    if (own.code != BL_OK) {
        free(p.samples);
        return bl_fail(err, own.code, "%s", own.msg);
    }
    shrink(&p);
    *clip = (audio_clip){ p.samples, p.n, info.channels, info.samplerate };
    return BL_OK;
}

/* ---- reading in pieces ---- */

struct audio_reader {
    SNDFILE *f;
    SF_INFO  info;
    char    *path;
    float   *block;
    int64_t  n_read;
    int      at_end;
};

audio_reader *audio_reader_open(const char *path, audio_file_info *info, bl_error *err)
{
    audio_reader *r = calloc(1, sizeof *r);
    int64_t n_bytes = 0;
    bl_error own = { 0 };
    if (r && (r->path = malloc(strlen(path) + 1)) && strcpy(r->path, path) && (r->f = open_to_read(path, &r->info, &n_bytes, &own)))
        r->block = malloc(sizeof *r->block * READ_BLOCK * (size_t)r->info.channels);
    if (!own.code && (!r || !r->block))
        bl_fail(&own, BL_ENOMEM, "%s: no memory to read it", path);
    if (own.code) {
        audio_reader_close(r);
        bl_fail(err, own.code, "%s", own.msg);
        return NULL;
    }
    *info = (audio_file_info){ .n_samples = header_length(&r->info), .n_channels = r->info.channels,
                               .sample_rate = r->info.samplerate };
    info->duration_s = (double)info->n_samples / info->sample_rate;
    describe(&r->info, info->format);
    return r;
}

bl_status audio_reader_next(audio_reader *r, int64_t n_samples, audio_clip *clip, bl_error *err)
{
    planar p = { .n_channels = r->info.channels, .before = r->n_read };
    bl_error own = { 0 };
    *clip = (audio_clip){ 0 };
    while (p.n < n_samples && !r->at_end && own.code == BL_OK) {
        const int64_t wanted = n_samples - p.n < READ_BLOCK ? n_samples - p.n : READ_BLOCK;
        const int64_t got = sf_readf_float(r->f, r->block, wanted);
        if (got > 0)
            append(&p, r->block, got, r->path, r->info.samplerate, &own);
        r->at_end = got < wanted;
    }
    r->n_read += p.n;
    if (own.code == BL_OK && r->at_end)
        check_end(r->f, &r->info, r->path, r->n_read, &own);
    if (own.code != BL_OK) {
        free(p.samples);
        return bl_fail(err, own.code, "%s", own.msg);
    }
    if (p.n)
        shrink(&p);
    *clip = (audio_clip){ p.samples, p.n, r->info.channels, r->info.samplerate };
    return BL_OK;
}

void audio_reader_close(audio_reader *r)
{
    if (!r)
        return;
    if (r->f)
        sf_close(r->f);
    free(r->block);
    free(r->path);
    free(r);
}

/* ---- writing ---- */

/* libsndfile forgets why a write failed, above all while closing; so it writes through these. */
typedef struct sink {
    int fd, reason;   /* reason: errno of the first failure */
} sink;

static sf_count_t sink_length(void *user)
{
    struct stat st;
    return fstat(((sink *)user)->fd, &st) == 0 ? (sf_count_t)st.st_size : -1;
}

static sf_count_t sink_seek(sf_count_t offset, int whence, void *user)
{
    return (sf_count_t)lseek(((sink *)user)->fd, (off_t)offset, whence);
}

static sf_count_t sink_tell(void *user)
{
    return (sf_count_t)lseek(((sink *)user)->fd, 0, SEEK_CUR);
}

static sf_count_t sink_read(void *data, sf_count_t n, void *user)
{
    const ssize_t got = read(((sink *)user)->fd, data, (size_t)n);
    return got < 0 ? 0 : (sf_count_t)got;
}

static sf_count_t sink_write(const void *data, sf_count_t n, void *user)
{
    sink *s = user;
    sf_count_t done = 0;
    while (done < n && !s->reason) {
        const ssize_t put = write(s->fd, (const char *)data + done, (size_t)(n - done));
        if (put > 0)
            done += put;
        else if (put == 0 || errno != EINTR)
            s->reason = put == 0 ? ENOSPC : errno;
    }
    return done;
}

typedef enum wire { WIRE_FLOAT, WIRE_16, WIRE_24 } wire;

typedef struct file_type {
    const char *extension;
    int         format;
    int         has_float, has_pcm;   /* neither: the format packs floats in its own way */
    int         subtype;              /* for those                                       */
} file_type;

static const file_type types[] = {
    { "wav", SF_FORMAT_WAV, 1, 1, 0 },
    { "wave", SF_FORMAT_WAV, 1, 1, 0 },
    { "aiff", SF_FORMAT_AIFF, 1, 1, 0 },
    { "aif", SF_FORMAT_AIFF, 1, 1, 0 },
    { "au", SF_FORMAT_AU, 1, 1, 0 },
    { "caf", SF_FORMAT_CAF, 1, 1, 0 },
    { "w64", SF_FORMAT_W64, 1, 1, 0 },
    { "rf64", SF_FORMAT_RF64, 1, 1, 0 },
    { "flac", SF_FORMAT_FLAC, 0, 1, 0 },
    { "ogg", SF_FORMAT_OGG, 0, 0, SF_FORMAT_VORBIS },
    { "oga", SF_FORMAT_OGG, 0, 0, SF_FORMAT_VORBIS },
    { "opus", SF_FORMAT_OGG, 0, 0, SF_FORMAT_OPUS },
    { "mp3", SF_FORMAT_MPEG, 0, 0, SF_FORMAT_MPEG_LAYER_III },
};

static bl_status choose_format(const char *path, const audio_clip *clip, audio_encoding encoding,
                               SF_INFO *info, wire *how, bl_error *err)
{
    const char *extension = bl_path_extension(path);
    const file_type *type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcasecmp(extension, types[i].extension) == 0)
            type = &types[i];
    if (!type)
        return bl_fail(err, BL_EARG, "%s: cannot tell the sound format from the name; expected .wav, .flac, .ogg, .opus, "
                       ".mp3, .aiff, .au, .caf, .w64 or .rf64", path);

    *how = encoding == AUDIO_ENCODING_PCM16 ? WIRE_16 : encoding == AUDIO_ENCODING_PCM24 ? WIRE_24 : WIRE_FLOAT;
    if (type->has_pcm && !type->has_float && *how == WIRE_FLOAT)
        *how = WIRE_24;
    if (!type->has_pcm && !type->has_float)
        *how = WIRE_FLOAT;
    const int subtype = type->subtype ? type->subtype
                      : *how == WIRE_16 ? SF_FORMAT_PCM_16 : *how == WIRE_24 ? SF_FORMAT_PCM_24 : SF_FORMAT_FLOAT;
    const int width = *how == WIRE_16 ? 2 : *how == WIRE_24 ? 3 : 4;
    int major = type->format;
    /* A wav file's lengths have 32 bits; RF64 is the same file with 64. */
    if (major == SF_FORMAT_WAV && clip->n_samples > (INT64_C(4000000000) / width) / clip->n_channels)
        major = SF_FORMAT_RF64;
    *info = (SF_INFO){ .samplerate = clip->sample_rate, .channels = clip->n_channels, .format = major | subtype };
    if (!sf_format_check(info))
        return bl_fail(err, BL_EARG, "%s: a .%s file cannot hold %d channels at %d Hz", path, extension,
                       clip->n_channels, clip->sample_rate);
    return BL_OK;
}

/* x to the nearest of 2^bits steps; libsndfile reads step k back as k / 2^(bits-1), so what came from such
 * a file goes back unchanged. */
static int to_steps(float x, double full_scale)
{
    const double v = nearbyint((double)x * full_scale);
    return v > full_scale - 1 ? (int)full_scale - 1 : v < -full_scale ? -(int)full_scale : (int)v;
}

static int write_block(SNDFILE *f, const audio_clip *clip, int64_t at, int64_t n, wire how, void *block)
{
    const int C = clip->n_channels;
    float *as_float = block;
    short *as_short = block;
    int *as_int = block;
    for (int c = 0; c < C; c++) {
        const float *x = clip->samples + c * clip->n_samples + at;
        if (how == WIRE_FLOAT)
            for (int64_t i = 0; i < n; i++)
                as_float[i * C + c] = x[i];
        else if (how == WIRE_16)
            for (int64_t i = 0; i < n; i++)
                as_short[i * C + c] = (short)to_steps(x[i], 32768);
        else /* the upper 24 bits count */
            for (int64_t i = 0; i < n; i++)
                as_int[i * C + c] = to_steps(x[i], 8388608) * 256;
    }
    const sf_count_t put = how == WIRE_FLOAT ? sf_writef_float(f, as_float, n)
                         : how == WIRE_16 ? sf_writef_short(f, as_short, n) : sf_writef_int(f, as_int, n);
    return put == n;
}

static bl_status write_samples(int fd, const char *path, SF_INFO *info, const audio_clip *clip, wire how, bl_error *err)
{
    SF_VIRTUAL_IO io = { sink_length, sink_seek, sink_read, sink_write, sink_tell };
    sink s = { fd, 0 };
    void *block = malloc(sizeof(float) * WRITE_BLOCK * (size_t)clip->n_channels);
    if (!block)
        return bl_fail(err, BL_ENOMEM, "%s: no memory to write it", path);
    SNDFILE *f = sf_open_virtual(&io, SFM_WRITE, info, &s);
    if (!f) {
        free(block);
        return s.reason ? bl_fail(err, BL_EIO, "%s: cannot write: %s", path, strerror(s.reason))
                        : bl_fail(err, BL_EARG, "%s: cannot write %d channels at %d Hz in this format: %s", path,
                                  clip->n_channels, clip->sample_rate, sf_strerror(NULL));
    }
    /* The PEAK chunk holds the time of day; the same samples shall give the same bytes. */
    sf_command(f, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    double quality = 0.6;
    sf_command(f, SFC_SET_VBR_ENCODING_QUALITY, &quality, sizeof quality);

    int ok = 1;
    for (int64_t at = 0; at < clip->n_samples && ok && !s.reason; at += WRITE_BLOCK) {
        const int64_t n = clip->n_samples - at < WRITE_BLOCK ? clip->n_samples - at : WRITE_BLOCK;
        ok = write_block(f, clip, at, n, how, block);
    }
    char reason[160];
    snprintf(reason, sizeof reason, "%s", sf_strerror(f));
    ok = sf_close(f) == 0 && ok;
    free(block);
    if (s.reason)
        return bl_fail(err, BL_EIO, "%s: cannot write: %s", path, strerror(s.reason));
    return ok ? BL_OK : bl_fail(err, BL_EIO, "%s: cannot write: %s", path, reason);
}

static bl_status check_clip(const char *path, const audio_clip *clip, bl_error *err)
{
    if (clip->n_samples < 1 || clip->n_channels < 1)
        return bl_fail(err, BL_EARG, "%s: nothing to write (no samples)", path);
    for (int64_t i = 0; i < clip->n_samples * clip->n_channels; i++)
        if (!isfinite(clip->samples[i]))
            return bl_fail(err, BL_ENAN, "%s: not written, since sample %lld of channel %d is not finite", path,
                           (long long)(i % clip->n_samples), (int)(i / clip->n_samples) + 1);
    return BL_OK;
}

bl_status audio_write(const char *path, const audio_clip *clip, audio_encoding encoding, bl_error *err)
{
    SF_INFO info;
    wire how = WIRE_FLOAT;
    bl_atomic file;
    bl_error own = { 0 };

    if (check_clip(path, clip, &own) != BL_OK || choose_format(path, clip, encoding, &info, &how, &own) != BL_OK ||
        bl_atomic_begin(&file, path, &own) != BL_OK)
        return bl_fail(err, own.code, "%s", own.msg);
    const int fd = open(file.temporary, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return bl_fail(err, BL_EIO, "%s: cannot write: %s", path, strerror(errno));
    write_samples(fd, path, &info, clip, how, &own);
    if (close(fd) != 0)
        bl_fail(&own, BL_EIO, "%s: cannot write: %s", path, strerror(errno));
    if (own.code != BL_OK)
        bl_atomic_abort(&file);
    else
        bl_atomic_commit(&file, &own);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

int audio_is_sound_name(const char *path)
{
    static const char *const known[] = { "wav", "wave", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64",
                                         "flac", "ogg", "oga", "opus", "mp3", "voc", "iff", "svx", "sph", "nist",
                                         "avr", "paf", "sd2", "htk" };
    const char *extension = bl_path_extension(path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(extension, known[i]) == 0)
            return 1;
    return 0;
}
