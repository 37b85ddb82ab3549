// SPDX-License-Identifier: GPL-2.0-only
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

void history_make(struct history *h, unsigned int reverts_in)
{
	u64 now[EXTENTS] = { 0 }, t;

	memset(h, 0, sizeof(*h));
	h->written[0] = -1;
	h->nr_branches = 1;
	h->lineage = malloc(sizeof(*h->lineage) + HISTORY * sizeof(*h->lineage->intervals));

	for (t = 1; t <= HISTORY; t++) {
		bool revert = t > 1 && reverts_in && !random_below(reverts_in);

		h->written[t] = -1;
		if (!revert && random_below(4)) {
			h->written[t] = random_below(EXTENTS);
			now[h->written[t]] = t;
		}
		memcpy(h->content[t], now, sizeof(now));
		if (revert) {
			u64 to = 1 + random_below(t - 1);

			h->branches[h->nr_branches++] = (struct cdp_branch) { t, to };
			memcpy(now, h->content[to], sizeof(now));
		}
	}
}

void history_free(struct history *h)
{
	free(h->lineage);
}
