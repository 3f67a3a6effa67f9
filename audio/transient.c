#include "audio/transient.h"

#include <math.h>

static const double FAST_S = 0.0005, SLOW_S = 0.02, FALL_S = 0.03;

void audio_transient(float *x, int64_t n_samples, int sample_rate, double attack_db)
{
    const double fast_rise = 1 - exp(-1 / (FAST_S * sample_rate)), slow_rise = 1 - exp(-1 / (SLOW_S * sample_rate));
    const double fall = exp(-1 / (FALL_S * sample_rate)), extra = pow(10, attack_db / 20) - 1;
    double fast = 0, slow = 0;
    for (int64_t i = 0; i < n_samples; i++) {
        const double level = fabs((double)x[i]);
        fast = level > fast ? fast + fast_rise * (level - fast) : fast * fall;
        slow = fast > slow ? slow + slow_rise * (fast - slow) : slow * fall;
        /* the small constant keeps silence from dividing by itself */
        const double lead = (fast / (slow + 1e-5) - 1) / 3;
        x[i] = (float)((double)x[i] * (1 + extra * (lead < 0 ? 0 : lead > 1 ? 1 : lead)));
    }
}
