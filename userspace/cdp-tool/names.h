/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of names: whether one is taken is told without looking at all of them.
 */
#ifndef CDP_TOOL_NAMES_H
#define CDP_TOOL_NAMES_H

#include <linux/types.h>

struct names {
	void *root;		/* tsearch(3); NULL: empty */
};

bool names_have(const struct names *names, const char *name);

/* 0, -EEXIST: it is there already, or -ENOMEM. */
int names_add(struct names *names, const char *name);
void names_remove(struct names *names, const char *name);
void names_exit(struct names *names);

#endif
