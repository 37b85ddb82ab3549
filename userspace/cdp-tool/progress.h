/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far something is, for who waits for it: a line on standard error while it goes on, if that
 * is a terminal; silent otherwise, and with --json and --quiet.  One at a time.
 */
#ifndef CDP_TOOL_PROGRESS_H
#define CDP_TOOL_PROGRESS_H

#include <linux/types.h>

/* total: of the numbers that progress_to() will tell; 0: it will not, the kernel has it. */
void progress_begin(const char *what, u64 total);
void progress_to(u64 done);
void progress_end(void);

/* Takes the line away before something else is printed; the next progress_to() brings it back. */
void progress_hide(void);

#endif
