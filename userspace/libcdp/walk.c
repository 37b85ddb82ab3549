// SPDX-License-Identifier: GPL-2.0-only
#include "walk.h"

#include <asm/byteorder.h>
#include <errno.h>
#include <limits.h>
#include <linux/crc32c.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "pdata.h"

enum { MAX_LEVELS = 16 };

struct block {
	u8 bytes[CDP_UNIT_SIZE] __attribute__((aligned(8)));
};

static void damage(struct cdp_walk *w, const char *where, u64 block, const char *why)
{
	if (w->damage)
		w->damage(w->context, where, block, why);
}

static bool was_visited(const struct cdp_walk *w, u64 block)
{
	return w->visited[block / 64] >> block % 64 & 1;
}

static void set_visited(struct cdp_walk *w, u64 block)
{
	w->visited[block / 64] |= 1ULL << block % 64;
	w->nr_visited++;
}

/* Reads a block that something points to; false after telling why it cannot be used. */
static bool enter(struct cdp_walk *w, const char *where, u64 blocknr, struct block *block)
{
	if (!blocknr || blocknr >= w->nr_blocks) {
		damage(w, where, blocknr, "beyond the end of the device");
		return false;
	}
	if (was_visited(w, blocknr)) {
		damage(w, where, blocknr, "used twice");
		return false;
	}
	set_visited(w, blocknr);
	if (w->progress)
		w->progress(w->context, w->nr_visited);
	if (cdp_image_read(w->metadata, blocknr, 1, block->bytes)) {
		damage(w, where, blocknr, "cannot be read");
		return false;
	}
	return true;
}

int cdp_walk_open(struct cdp_walk *w, const struct cdp_image *metadata, const char **wrong)
{
	struct block block;
	int r;

	*wrong = NULL;
	r = cdp_image_read(metadata, 0, 1, block.bytes);
	if (r)
		return r;
	*wrong = cdp_super_unpack(&w->super, block.bytes);
	if (*wrong)
		return -EINVAL;
	w->metadata = metadata;
	w->nr_blocks = metadata->nr_units;
	w->visited = calloc(w->nr_blocks / 64 + 1, sizeof(*w->visited));
	if (!w->visited)
		return -ENOMEM;
	set_visited(w, 0);
	return 0;
}

void cdp_walk_close(struct cdp_walk *w)
{
	free(w->visited);
	w->visited = NULL;
}

/*
 * B-trees of the library
 */
struct btree_walk {
	struct cdp_walk *w;
	const char *where;
	u32 value_size;
	cdp_visit_entry visit;
	void *context;
};

/* Keys of the node at blocknr lie in [first, last]. */
static int walk_btree_node(const struct btree_walk *b, u64 blocknr, u64 first, u64 last,
			   unsigned int levels)
{
	struct cdp_btree_node node;
	struct block block;
	const char *wrong;
	u64 key, end;
	int r = 0;
	u32 i;

	if (!enter(b->w, b->where, blocknr, &block))
		return 0;
	wrong = cdp_btree_open(&node, block.bytes, blocknr, b->value_size);
	if (!wrong && !levels)
		wrong = "too deep";
	if (!wrong && node.nr && (cdp_btree_key(&node, 0) < first ||
				  cdp_btree_key(&node, node.nr - 1) > last))
		wrong = "keys do not belong here";
	if (wrong) {
		damage(b->w, b->where, blocknr, wrong);
		return 0;
	}
	for (i = 0; i < node.nr && !r; i++) {
		key = cdp_btree_key(&node, i);
		end = i + 1 < node.nr ? cdp_btree_key(&node, i + 1) - 1 : last;
		if (node.leaf)
			r = b->visit(b->context, key, cdp_btree_value(&node, i));
		else
			r = walk_btree_node(b, cdp_btree_child(&node, i), key, end, levels - 1);
	}
	return r;
}

int cdp_walk_btree(struct cdp_walk *w, const char *where, u64 root, u32 value_size,
		   cdp_visit_entry visit)
{
	struct btree_walk b = {
		.w = w, .where = where, .value_size = value_size, .visit = visit,
		.context = w->context,
	};

	return walk_btree_node(&b, root, 0, ~0ULL, MAX_LEVELS);
}

/*
 * The array of the space bitmap: a B-tree of array blocks, all full but the last
 */
struct array_walk {
	struct cdp_walk *w;
	cdp_visit_word visit;
	u64 next;		/* index of the next word */
	u64 nr_words;
	bool gap;
};

static const char space_where[] = "space map";

static int visit_array_block(void *context, u64 key, const void *value)
{
	struct array_walk *a = context;
	struct cdp_array_block array;
	struct block block;
	const char *wrong;
	u64 blocknr;
	int r = 0;
	u32 i;

	memcpy(&blocknr, value, sizeof(blocknr));
	blocknr = le64_to_cpu(blocknr);
	if (!enter(a->w, space_where, blocknr, &block)) {
		a->gap = true;
		return 0;
	}
	wrong = cdp_array_open(&array, block.bytes, blocknr);
	if (!wrong && (key > UINT_MAX || (!a->gap && key * array.max != a->next)))
		wrong = "words are missing";
	if (wrong) {
		damage(a->w, space_where, blocknr, wrong);
		a->gap = true;
		return 0;
	}
	for (i = 0; i < array.nr && !r; i++)
		r = a->visit(a->w->context, key * array.max + i, cdp_array_word(&array, i));
	a->next = key * array.max + array.nr;
	return r;
}

int cdp_walk_space(struct cdp_walk *w, cdp_visit_word visit)
{
	struct array_walk a = {
		.w = w, .visit = visit, .nr_words = (w->super.nr_data_blocks + 63) / 64,
	};
	struct btree_walk b = {
		.w = w, .where = space_where, .value_size = sizeof(u64),
		.visit = visit_array_block, .context = &a,
	};
	int r;

	r = walk_btree_node(&b, w->super.space_root, 0, ~0ULL, MAX_LEVELS);
	if (!r && !a.gap && a.next != a.nr_words)
		damage(w, space_where, w->super.space_root, "more or fewer words than data blocks");
	return r;
}

/*
 * The index
 */
static const char index_where[] = "index";

struct range {
	struct cdp_key first;	/* the least key that may stand here */
	struct cdp_key end;	/* the least key that may not; if there is one */
	bool bounded;
};

static bool before(u64 hi, u64 time, struct cdp_key key)
{
	return cdp_key_cmp(hi, time, key.hi, key.time) < 0;
}

static const char *node_wrong(const struct cdp_walk *w, const struct block *block, u64 blocknr,
			      unsigned int level)
{
	const struct cdp_node_disk *node = (const void *)block->bytes;
	u32 csum = crc32c(~0, block->bytes + sizeof(node->csum),
			  CDP_UNIT_SIZE - sizeof(node->csum));

	const char *wrong;

	if (le32_to_cpu(node->csum) != csum)
		return "checksum does not match";
	wrong = cdp_node_invalid(block->bytes, w->super.uuid, blocknr, w->super.nr_data_blocks);
	if (!wrong && cdp_node_level(block->bytes) != level)
		wrong = "node of another level";
	return wrong;
}

static int walk_leaf(struct cdp_walk *w, const struct block *block, u64 blocknr,
		     const struct range *range, cdp_visit_version visit)
{
	unsigned int i, nr = cdp_node_nr(block->bytes);
	struct cdp_version v;
	int r = 0;

	w->tree_leaves++;
	w->tree_entries += nr;
	for (i = 0; i < nr && !r; i++) {
		cdp_leaf_get(block->bytes, i, &v);
		if (before(v.hi, v.time, range->first) ||
		    (range->bounded && !before(v.hi, v.time, range->end))) {
			damage(w, index_where, blocknr, "keys do not belong here");
			return 0;
		}
		r = visit(w->context, &v);
	}
	return r;
}

static int walk_node(struct cdp_walk *w, u64 blocknr, const struct range *range,
		     unsigned int level, cdp_visit_version visit)
{
	struct block block;
	const char *wrong;
	unsigned int i, nr;
	int r = 0;

	if (!enter(w, index_where, blocknr, &block))
		return 0;
	wrong = node_wrong(w, &block, blocknr, level);
	if (wrong) {
		damage(w, index_where, blocknr, wrong);
		return 0;
	}
	if (!level)
		return walk_leaf(w, &block, blocknr, range, visit);

	nr = cdp_node_nr(block.bytes);
	if (level == w->super.tree_depth && nr < 2)
		damage(w, index_where, blocknr, "inner root with one child");
	for (i = 0; i < nr && !r; i++) {
		struct range child = *range;

		if (i)
			child.first = cdp_inner_key(block.bytes, i);
		if (i + 1 < nr) {
			child.end = cdp_inner_key(block.bytes, i + 1);
			child.bounded = true;
		}
		r = walk_node(w, cdp_inner_child(block.bytes, i), &child, level - 1, visit);
	}
	return r;
}

int cdp_walk_versions(struct cdp_walk *w, cdp_visit_version visit)
{
	struct range all = { .first = { .hi = 0, .time = ~0ULL } };

	w->tree_entries = 0;
	w->tree_leaves = 0;
	return walk_node(w, w->super.tree_root, &all, w->super.tree_depth, visit);
}

/*
 * The metadata space map
 */
static const char sm_where[] = "metadata space map";

struct sm_walk {
	struct cdp_walk *w;
	struct cdp_sm_root root;
	u8 *counts;		/* of each block: 0, 1, 2, 3: more; beyond the bitmaps: 0 */
	u64 nr_allocated;
};

static int visit_count(void *context, u64 key, const void *value)
{
	struct sm_walk *s = context;
	u32 count;

	memcpy(&count, value, sizeof(count));
	if (key >= s->root.nr_blocks || le32_to_cpu(count) < CDP_SM_MANY ||
	    s->counts[key] != CDP_SM_MANY)
		damage(s->w, sm_where, key, "count of references does not fit the bitmap");
	return 0;
}

static void read_bitmap(struct sm_walk *s, u32 n, const struct cdp_sm_entry *entry)
{
	u64 i, first = (u64)n * CDP_SM_BLOCKS_PER_BITMAP, nr = s->root.nr_blocks - first;
	struct block block;
	const char *wrong;
	u32 nr_used = 0;

	if (nr > CDP_SM_BLOCKS_PER_BITMAP)
		nr = CDP_SM_BLOCKS_PER_BITMAP;
	if (!enter(s->w, sm_where, entry->bitmap, &block))
		return;
	wrong = cdp_sm_bitmap_open(block.bytes, entry->bitmap);
	if (wrong) {
		damage(s->w, sm_where, entry->bitmap, wrong);
		return;
	}
	for (i = 0; i < nr; i++) {
		s->counts[first + i] = cdp_sm_bitmap_get(block.bytes, i);
		nr_used += !!s->counts[first + i];
	}
	s->nr_allocated += nr_used;
	/* The last bitmap counts blocks beyond the end as free. */
	if (entry->nr_free != CDP_SM_BLOCKS_PER_BITMAP - nr_used)
		damage(s->w, sm_where, entry->bitmap, "number of free blocks is wrong");
}

static void read_bitmaps(struct sm_walk *s)
{
	u64 i, nr = (s->root.nr_blocks + CDP_SM_BLOCKS_PER_BITMAP - 1) / CDP_SM_BLOCKS_PER_BITMAP;
	struct cdp_sm_entry entry;
	struct block index;
	const char *wrong;

	if (!enter(s->w, sm_where, s->root.index, &index))
		return;
	wrong = cdp_sm_index_open(index.bytes, s->root.index);
	if (wrong) {
		damage(s->w, sm_where, s->root.index, wrong);
		return;
	}
	for (i = 0; i < nr; i++) {
		cdp_sm_index_get(index.bytes, i, &entry);
		read_bitmap(s, i, &entry);
	}
	if (s->nr_allocated != s->root.nr_allocated)
		damage(s->w, sm_where, s->root.index, "number of blocks in use is wrong");
}

/* Each block is reached once: one reference, or none. */
static void compare_counts(struct sm_walk *s, u64 *leaked)
{
	u64 block;

	for (block = 0; block < s->root.nr_blocks; block++) {
		bool visited = was_visited(s->w, block);

		if (visited && !s->counts[block])
			damage(s->w, sm_where, block, "in use but marked free");
		else if (!visited && s->counts[block])
			++*leaked;
	}
	for (; block < s->w->nr_blocks; block++)
		if (was_visited(s->w, block))
			damage(s->w, sm_where, block, "in use but beyond the end of the map");
}

static void walk_space_map(struct sm_walk *s, u64 *leaked)
{
	struct btree_walk counts = {
		.w = s->w, .where = sm_where, .value_size = sizeof(u32), .visit = visit_count,
		.context = s,
	};

	read_bitmaps(s);
	walk_btree_node(&counts, s->root.counts, 0, ~0ULL, MAX_LEVELS);
	compare_counts(s, leaked);
}

int cdp_walk_metadata_space(struct cdp_walk *w, u64 *leaked)
{
	struct sm_walk s = { .w = w };
	const char *wrong;

	*leaked = 0;
	wrong = cdp_sm_root_open(&s.root, w->super.metadata_space_map_root, w->nr_blocks);
	if (wrong) {
		damage(w, sm_where, 0, wrong);
		return 0;
	}
	s.counts = calloc(s.root.nr_blocks + 1, 1);
	if (!s.counts)
		return -ENOMEM;
	walk_space_map(&s, leaked);
	free(s.counts);
	return 0;
}
