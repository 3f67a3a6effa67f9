/* Sound files of every format libsndfile knows: wav, aiff, au, caf, flac, ogg (Vorbis, Opus), mp3, ...
 *
 * Units    full scale 1.0; n_samples per channel; any sample rate, up to AUDIO_MAX_CHANNELS channels.
 * Errors   one sentence that begins with the file name. audio_read and audio_info: BL_EIO (missing, not
 *          readable), BL_EFORMAT (empty file, a folder, not a sound file, damaged or cut short, no
 *          samples, longer than max_seconds), BL_ENAN (a sample that is not finite; says where),
 *          BL_ENOMEM. audio_write: BL_EARG (extension not known, nothing to write, a rate or channel
 *          count the format cannot hold), BL_ENAN, BL_EIO (no space, read-only folder, no such folder);
 *          after a failure neither a new nor a half-written file is left, and an older file is untouched.
 * Memory   audio_read fills a clip; release with audio_clip_free. On failure the clip is zeroed.
 * Note     Lengths in headers are not believed: memory grows with the samples that really arrive.
 *          What breaks off inside a flac file is an error, since it says exactly how long it is; wav, aiff,
 *          ogg and mp3 files are read as far as they go (interrupted recordings are useful).
 *          The same samples give the same bytes in every format but ogg, which carries a random number.
 * Tested   tests/audio/test_soundfile.c
 */
#ifndef BL_AUDIO_SOUNDFILE_H
#define BL_AUDIO_SOUNDFILE_H

#include "audio/clip.h"

enum { AUDIO_MAX_CHANNELS = 64 };

typedef struct audio_file_info {
    int64_t n_samples;   /* as the header says; 0 when it does not know */
    int     n_channels, sample_rate;
    double  duration_s;
    char    format[96];  /* "WAV (Microsoft), Signed 16 bit PCM"         */
} audio_file_info;

/* Opens and looks at the header only. */
bl_status audio_info(const char *path, audio_file_info *info, bl_error *err);

/* max_seconds 0: no limit. Else a longer file is an error, found before it fills the memory. */
bl_status audio_read(const char *path, double max_seconds, audio_clip *clip, bl_error *err);

/* A file that is longer than memory: the next n_samples (> 0) of every channel as a new clip, fewer at the end and none (an empty
 * clip) after it. Put side by side the clips are what audio_read reads, and errors are the same: what is broken in a file is found
 * when it is reached. open returns a reader; release with audio_reader_close (NULL allowed). */
typedef struct audio_reader audio_reader;
audio_reader *audio_reader_open(const char *path, audio_file_info *info, bl_error *err);
bl_status     audio_reader_next(audio_reader *reader, int64_t n_samples, audio_clip *clip, bl_error *err);
void          audio_reader_close(audio_reader *reader);

typedef enum audio_encoding {
    AUDIO_ENCODING_DEFAULT, /* wav, aiff, au, caf: 32 bit float; flac: 24 bit; ogg: Vorbis quality 0.6; mp3 */
    AUDIO_ENCODING_FLOAT,
    AUDIO_ENCODING_PCM16,   /* rounded to the nearest step, clipped at full scale, no dither */
    AUDIO_ENCODING_PCM24
} audio_encoding;

/* Format by extension: wav aiff aif au caf w64 rf64 flac ogg oga opus mp3. Atomic (base/file.h). */
bl_status audio_write(const char *path, const audio_clip *clip, audio_encoding encoding, bl_error *err);

/* Whether the extension is one of a sound file that audio_read knows (looks at the name only). */
int audio_is_sound_name(const char *path);

#endif
