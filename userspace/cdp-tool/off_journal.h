/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal of a pool that is closed: its records are applied as the module does.  A record that
 * does not fit is a finding, as the module would not open the pool.
 */
#ifndef CDP_TOOL_OFF_JOURNAL_H
#define CDP_TOOL_OFF_JOURNAL_H

#include "offline.h"

/* Onto the catalog, and into the tail.  0 or -errno. */
int off_journal_load(struct offline *o);

#endif
