/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sorted array that behaves as the index should, and checks of the index against its
 * invariants (tree.h) and against the array.  All fail the test that calls them.
 */
#ifndef UNIT_CHECK_H
#define UNIT_CHECK_H

#include "store.h"
#include "tree.h"

struct model {
	struct cdp_version *versions;
	unsigned int nr, room;
};

void model_free(struct model *m);
/* Sorts, and keeps the last of those with equal keys. */
void model_sort(struct model *m);
void model_add(struct model *m, const struct cdp_version *v);
void model_merge(struct model *m, const struct model *batch);
unsigned int model_lower_bound(const struct model *m, u64 hi, u64 time);
void model_remove(struct model *m, u64 lo, u64 hi);

/* The model as a source to merge. */
struct model_source {
	struct cdp_tree_source source;
	const struct model *model;
	unsigned int next;
};

struct cdp_tree_source *model_source(struct model_source *s, const struct model *m);

bool version_equal(const struct cdp_version *a, const struct cdp_version *b);

/* All invariants of tree.h, and no block used that is not in the tree. */
void check_tree(struct cdp_tree *tree, const struct cdp_tree_root *root);
/* The same versions in the same order, by walking. */
void check_contents(struct cdp_tree *tree, const struct cdp_tree_root *root,
		    const struct model *m);

#endif
