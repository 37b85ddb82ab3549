// SPDX-License-Identifier: GPL-2.0-only
#include "lineage.h"

#include <linux/errno.h>

int cdp_branch_find(const struct cdp_branch *branches, unsigned int nr, u64 instant)
{
	int lo = -1, hi = nr;

	while (hi - lo > 1) {
		int mid = lo + (hi - lo) / 2;

		if (branches[mid].start < instant)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Terminates: revert_to lies before the start of its branch, so each step goes to an
 * older branch.
 */
int cdp_lineage_fill(struct cdp_lineage *lineage, const struct cdp_branch *branches,
		     unsigned int nr_branches, u64 instant)
{
	int k = cdp_branch_find(branches, nr_branches, instant);

	lineage->nr = 0;
	if (k < 0)
		return -ENOENT;

	while (k >= 0) {
		struct cdp_interval *interval = &lineage->intervals[lineage->nr++];

		interval->lo = branches[k].start;
		interval->hi = instant;
		if (!k)
			break;
		instant = branches[k].revert_to;
		k = cdp_branch_find(branches, k, instant);
	}
	return 0;
}

bool cdp_lineage_visible(const struct cdp_lineage *lineage, unsigned int *i, u64 time)
{
	const struct cdp_interval *interval = lineage->intervals;
	unsigned int lo = *i, hi = lineage->nr;

	if (!time) {
		*i = lineage->nr;
		return false;
	}
	if (time > interval[lo].lo)
		return true;

	/* The last interval that does not begin before time: invariant (lo, hi]. */
	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (interval[mid].lo >= time)
			lo = mid;
		else
			hi = mid;
	}
	*i = hi;
	return hi < lineage->nr && time <= interval[hi].hi;
}
