/* PNG pictures of sound: spectrograms, one or several stacked, and line plots. Written atomically.
 *
 * Units    seconds and hertz on the axes; colours show dB below the loudest point of all panels.
 * Errors   BL_EARG (no panels, empty clip, more than AUDIO_PICTURE_MAX_PANELS), BL_EIO (names the file), BL_ENOMEM.
 * Note     Works for one sample and for hours: every pixel column shows the loudest of the frames it
 *          covers, and frames are no denser than that needs.
 * Tested   tests/audio/test_picture.c
 */
#ifndef BL_AUDIO_PICTURE_H
#define BL_AUDIO_PICTURE_H

#include "audio/clip.h"

typedef enum audio_frequency_axis { AUDIO_AXIS_MEL, AUDIO_AXIS_LOG, AUDIO_AXIS_LINEAR } audio_frequency_axis;

enum { AUDIO_PICTURE_MAX_PANELS = 16 };

/* One spectrogram; all but clip may be 0. Channels are averaged. */
typedef struct audio_panel {
    const audio_clip *clip;
    const char       *title;
    const double     *line_s, *line_hz;   /* [n_line] a curve over it, as f0; hz <= 0 interrupts it */
    int64_t           n_line;
    const double     *mark_s;             /* [n_marks] thin vertical lines, as beats or onsets      */
    int64_t           n_marks;
} audio_panel;

typedef struct audio_picture_config {
    const char          *title;
    int                  width, panel_height;   /* pixels of one panel's plot; 0: 1000 x 260             */
    audio_frequency_axis axis;
    double               fmin_hz, fmax_hz;      /* 0: 30 Hz; half the lowest sample rate, at most 16 kHz */
    double               range_db;              /* 0: 80                                                 */
    int                  n_fft;                 /* 0: 2048                                               */
    int                  own_level;             /* each panel its own 0 dB instead of a common one       */
} audio_picture_config;

/* config may be NULL. */
bl_status audio_picture_spectrograms(const char *path, const audio_panel *panels, int n_panels,
                                     const audio_picture_config *config, bl_error *err);

/* Curves: x [n], y [n]; x NULL means 0, 1, 2, ... Values that are not finite interrupt the line. */
typedef struct audio_curve {
    const char   *name;
    const double *x, *y;
    int64_t       n;
} audio_curve;

typedef struct audio_plot_config {
    const char *title, *x_label, *y_label;
    int         width, height;   /* pixels of the whole picture; 0: 900 x 500 */
    int         log_y;           /* decades; values <= 0 interrupt the line   */
} audio_plot_config;

/* At least one curve; curves may be empty (n 0), as at the start of a training. */
bl_status audio_plot_lines(const char *path, const audio_curve *curves, int n_curves,
                           const audio_plot_config *config, bl_error *err);

#endif
