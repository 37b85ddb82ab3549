/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Branches and lineages.
 *
 * A volume's time line is cut into branches, one after the other.  Branch k lives
 * in (start_k, start_k+1]; the last one has no end yet.  Except for the first,
 * its past is not what came right before it, but the instant revert_to, which lies
 * in an older branch.  Nothing is removed by a revert: what is abandoned can be
 * reverted to in its turn.
 *
 * The lineage of an instant T is what the volume had seen of its own past at T:
 * disjoint intervals (lo, hi], newest first.  A version is visible at T if and
 * only if its time lies in one of them, and the newest visible one counts.
 *
 * Source: Ta-Shma et al., Virtual Machine Time Travel Using Continuous Data
 * Protection and Checkpointing, "Metadata Indexes" (branch table).
 *
 * Pure: user space compiles it too.
 */
#ifndef DM_CDP_LINEAGE_H
#define DM_CDP_LINEAGE_H

#include <linux/types.h>

#define CDP_TIME_NOW	(~0ULL >> 2)	/* after every time that is handed out */

struct cdp_branch {
	u64 start;
	u64 revert_to;		/* unused in the first branch */
};

struct cdp_interval {
	u64 lo;			/* exclusive */
	u64 hi;			/* inclusive */
};

struct cdp_lineage {
	unsigned int nr;
	struct cdp_interval intervals[];
};

/*
 * The branch that holds the instant: -1 if it lies before the first branch.
 */
int cdp_branch_find(const struct cdp_branch *branches, unsigned int nr, u64 instant);

/*
 * Fills lineage->intervals (room for nr_branches of them) with the lineage of
 * instant.  Returns 0, or -ENOENT if the volume did not exist yet.
 */
int cdp_lineage_fill(struct cdp_lineage *lineage, const struct cdp_branch *branches,
		     unsigned int nr_branches, u64 instant);

/*
 * Walks down the lineage.  time is that of the newest version at or before the
 * interval *i's end (0: there is none).  Returns true if it is visible; otherwise
 * advances *i to the next interval that has to be searched, or to nr.
 */
bool cdp_lineage_visible(const struct cdp_lineage *lineage, unsigned int *i, u64 time);

#endif
