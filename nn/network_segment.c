/* Where a network with `checkpoint = yes` is cut: into segments of about sqrt(n) layers, or at the parts that say so. */
#include "nn/network_private.h"

#include <math.h>

/* Can items first .. last be a segment? Nobody else may read what is inside, and the inputs must fit a node. */
static int is_segment(const nn_network *net, int first, int last, nn_network_segment *s)
{
    *s = (nn_network_segment){ .first = first, .last = last };
    for (int i = first; i <= last; i++) {
        const nn_network_item *it = &net->items[i];
        if (!it->layer || (i < last && it->last_use > last))
            return 0;
        for (int k = 0; k < it->n_in; k++) {
            int known = it->in[k] >= first;
            for (int m = 0; m < s->n_in; m++)
                known |= s->in[m] == it->in[k];
            if (known)
                continue;
            if (s->n_in == NN_MAX_IN - 1)
                return 0;
            s->in[s->n_in++] = it->in[k];
        }
    }
    return 1;
}

static void add_segment(nn_network *net, nn_network_segment s)
{
    s.net = net;
    net->items[s.first].segment = net->n_segments;
    net->segments[net->n_segments++] = s;
}

/* From item `first` on, the next place where a cut is possible: at least `wanted` layers on, at most twice as many. */
static int next_cut(const nn_network *net, int first, int end, int wanted, nn_network_segment *s)
{
    for (int last = first + wanted - 1; last < end && last < first + 2 * wanted; last++)
        if (is_segment(net, first, last, s))
            return last;
    for (int last = first + wanted - 2 < end - 1 ? first + wanted - 2 : end - 1; last > first; last--)
        if (is_segment(net, first, last, s))
            return last;
    return first;
}

void nn_network_cut(nn_network *net)
{
    nn_network_segment s;
    net->n_segments = 0;
    for (int i = 0; i < net->n; i++)
        net->items[i].segment = -1;
    if (net->recompute) {
        const int wanted = (int)ceil(sqrt((double)(net->n - net->n_inputs)));
        for (int i = 0; i < net->n; i++) {
            const int last = net->items[i].layer ? next_cut(net, i, net->n, wanted, &s) : i;
            if (last > i)
                add_segment(net, s);
            i = last;
        }
        return;
    }
    for (int g = 0, end = 0; g < net->n_groups; g++) { /* outer ones come first and take what is inside them along */
        const nn_network_group *group = &net->groups[g];
        if (!group->recompute || group->first < end || !is_segment(net, group->first, group->first + group->n - 1, &s))
            continue;
        add_segment(net, s);
        end = group->first + group->n;
    }
}
