/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume's history by brute force: its whole content after each instant, kept as a table.
 * Time runs from 1 to HISTORY; at each instant one extent was written, or the volume
 * reverted, or nothing happened.  The instant of a revert is the last of the old branch.
 */
#ifndef UNIT_HISTORY_H
#define UNIT_HISTORY_H

#include "lineage.h"

enum { HISTORY = 400, EXTENTS = 8 };

struct history {
	struct cdp_branch branches[HISTORY];
	unsigned int nr_branches;
	int written[HISTORY + 1];		/* extent, or -1 */
	u64 content[HISTORY + 1][EXTENTS];	/* time of the version that is seen, 0: none */
	struct cdp_lineage *lineage;		/* scratch */
};

/* One instant in reverts_in is a revert, if that is not 0. */
void history_make(struct history *h, unsigned int reverts_in);
void history_free(struct history *h);

#endif
