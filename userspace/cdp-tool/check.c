// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "bitmap.h"
#include "document.h"
#include "offline.h"
#include "tool.h"
#include "verbs.h"

/*
 * What a version stands on belongs to it alone, and the space bitmap knows of it as soon as
 * it is in the index; versions of the journal are known from the journal.
 */
struct check {
	struct offline o;		/* first: the visitors' context */
	struct bitmap used;		/* the space bitmap */
	struct bitmap owned;		/* by a version */
	u64 nr_used;
	u64 nr_versions;		/* index and journal together */
	u64 nr_leaked;
	u64 metadata_leaked;
	u64 newest[CDP_NR_LEVELS];	/* of the volume that is being walked */
	u32 volume;
};

static void version_finding(struct check *c, const char *where, const struct cdp_version *v,
			    const char *what)
{
	offline_finding(&c->o, where, "volume %u, level %u, lba %llu, time %llu, block %llu: %s",
			cdp_hi_volume(v->hi), cdp_hi_level(v->hi), cdp_hi_lba(v->hi), v->time,
			v->pblock, what);
}

static int own(struct check *c, const char *where, const struct cdp_version *v)
{
	u64 i, end = v->pblock + cdp_hi_blocks(v->hi);
	bool twice = false;
	int r;

	c->nr_versions++;
	if (v->flags & CDP_TOMBSTONE)
		return 0;
	for (i = v->pblock; i < end; i++) {
		r = bitmap_set(&c->owned, i);
		if (r < 0)
			return r;
		twice |= r;
	}
	if (twice)
		version_finding(c, where, v, "its blocks belong to another version too");
	return 0;
}

static int visit_word(void *context, u64 index, u64 word)
{
	struct check *c = context;
	u64 beyond = c->o.walk.super.nr_data_blocks % 64;

	if (index >= c->used.nr_words)
		return 0;
	if (index + 1 == c->used.nr_words && beyond && word >> beyond) {
		offline_finding(&c->o,
				"space map",
				"blocks beyond the end of the device are in use");
		word &= (1ULL << beyond) - 1;
	}
	c->nr_used += __builtin_popcountll(word);
	return bitmap_set_word(&c->used, index, word);
}

/*
 * Index
 */
static void check_newest(struct check *c)
{
	const struct off_volume *v = offline_volume(&c->o, c->volume);
	int i;

	for (i = 0; v && i < CDP_NR_LEVELS; i++)
		if (c->newest[i] > v->newest[i])
			offline_finding(&c->o, "volumes",
					"volume %u: newest time of level %d is %llu, the index has %llu",
					v->id, i, v->newest[i], c->newest[i]);
}

static void count_newest(struct check *c, const struct cdp_version *v)
{
	unsigned int level = cdp_hi_level(v->hi);
	int i;

	if (cdp_hi_volume(v->hi) != c->volume) {
		check_newest(c);
		c->volume = cdp_hi_volume(v->hi);
		for (i = 0; i < CDP_NR_LEVELS; i++)
			c->newest[i] = 0;
	}
	if (v->time > c->newest[level])
		c->newest[level] = v->time;
}

static const char *placement_wrong(struct check *c, const struct cdp_version *v)
{
	const struct off_volume *volume = offline_volume(&c->o, cdp_hi_volume(v->hi));
	u64 end = cdp_hi_lba(v->hi) + cdp_hi_blocks(v->hi);

	if (!volume)
		return "of a volume that there is not";
	if (end > volume->nr_sectors / c->o.walk.super.block_sectors)
		return "beyond the end of the volume";
	if (v->time <= volume->created)
		return "before the volume was created";
	if (v->time > c->o.walk.super.time)
		return "after the pool's time";
	return NULL;
}

static bool all_used(const struct check *c, const struct cdp_version *v)
{
	u64 i, end = v->pblock + cdp_hi_blocks(v->hi);

	for (i = v->pblock; i < end; i++)
		if (!bitmap_get(&c->used, i))
			return false;
	return true;
}

static int visit_version(void *context, const struct cdp_version *v)
{
	struct check *c = context;
	struct off_version *twin = offline_tail(&c->o, v->hi, v->time);
	const char *wrong = placement_wrong(c, v);

	if (wrong)
		version_finding(c, "index", v, wrong);
	if (!(v->flags & CDP_TOMBSTONE) && !all_used(c, v))
		version_finding(c, "index", v, "its blocks are marked free");
	if (twin) {
		twin->in_index = true;
		if (twin->v.pblock != v->pblock || twin->v.flags != v->flags)
			version_finding(c, "index", v, "the journal has other data for it");
	}
	count_newest(c, v);
	return own(c, "index", v);
}

static void check_counters(struct check *c)
{
	const struct cdp_super *s = &c->o.walk.super;

	if (c->o.walk.tree_entries != s->tree_entries)
		offline_finding(&c->o, "superblock", "counts %llu versions, the index has %llu",
				s->tree_entries, c->o.walk.tree_entries);
	if (c->o.walk.tree_leaves != s->tree_leaves)
		offline_finding(&c->o, "superblock", "counts %llu leaves, the index has %llu",
				s->tree_leaves, c->o.walk.tree_leaves);
	if (c->o.nr_saved_marks != s->nr_marks)
		offline_finding(&c->o, "superblock", "counts %u marks, there are %u", s->nr_marks,
				c->o.nr_saved_marks);
	if (c->nr_used != s->used_data_blocks)
		offline_finding(&c->o,
				"superblock",
				"counts %llu data blocks in use, the space map has %llu",
				s->used_data_blocks, c->nr_used);
	if (s->nr_metadata_blocks > c->o.walk.nr_blocks)
		offline_finding(&c->o,
				"superblock",
				"counts %llu metadata blocks, the device has %llu",
				s->nr_metadata_blocks, c->o.walk.nr_blocks);
}

/* Only what the index stands on is in the bitmap, so all of it has an owner by now. */
static void check_leaks(struct check *c)
{
	c->nr_leaked = bitmap_count_without(&c->used, &c->owned);
	if (c->nr_leaked)
		offline_finding(&c->o,
				"space map",
				"%llu data blocks are marked in use, but no version of the index has them",
				c->nr_leaked);
}

static int check_tail(struct check *c)
{
	int r = 0;
	u64 i;

	for (i = 0; i < c->o.nr_tail && !r; i++)
		if (!c->o.tail[i].in_index)
			r = own(c, "journal", &c->o.tail[i].v);
	return r;
}

static int alloc_bitmaps(struct check *c)
{
	u64 nr = c->o.walk.super.nr_data_blocks;
	int r = bitmap_init(&c->used, nr);

	return r ? r : bitmap_init(&c->owned, nr);
}

static int check_index(struct check *c)
{
	int r;

	r = alloc_bitmaps(c);
	if (!r)
		r = cdp_walk_space(&c->o.walk, visit_word);
	if (!r)
		r = cdp_walk_versions(&c->o.walk, visit_version);
	if (r)
		return r;
	check_newest(c);
	check_leaks(c);
	r = check_tail(c);
	if (r)
		return r;
	check_counters(c);
	return cdp_walk_metadata_space(&c->o.walk, &c->metadata_leaked);
}

static void add_number(const char *key, u64 number)
{
	document_add(key, json_object_new_uint64(number));
}

static void add_result(const struct check *c)
{
	add_number("volumes", c->o.nr_volumes);
	add_number("marks", c->o.nr_marks);
	add_number("versions", c->nr_versions);
	add_number("index_versions", c->o.walk.tree_entries);
	add_number("index_leaves", c->o.walk.tree_leaves);
	document_add("journal_checked", json_object_new_boolean(c->o.has_data));
	add_number("journal_records", c->o.ring.nr_records);
	add_number("journal_blocks_cut", c->o.ring.nr_cut);
	add_number("metadata_blocks", c->o.walk.nr_visited);
	add_number("metadata_blocks_leaked", c->metadata_leaked);
}

static int report(const struct check *c)
{
	unsigned long long nr = c->o.nr_findings;

	if (nr > json_object_array_length(c->o.findings))
		print("damage: and %llu more\n", nr - json_object_array_length(c->o.findings));
	if (c->metadata_leaked)
		say("note: %llu metadata blocks are in use, but nothing points to them\n",
		    c->metadata_leaked);
	if (c->o.ring.nr_cut)
		say("note: a crash kept the data of the journal's last %u blocks from the device\n",
		    c->o.ring.nr_cut);
	if (!c->o.data_path)
		say("note: the journal was not checked; name the data device too\n");
	say("%s: %u volumes, %u marks, %llu versions, %llu journal records, %llu metadata blocks\n",
	    nr ? "DAMAGED" : "sound", c->o.nr_volumes, c->o.nr_marks, c->nr_versions,
	    c->o.ring.nr_records, c->o.walk.nr_visited);
	add_result(c);
	return nr ? EXIT_FAILED : EXIT_OK;
}

static int run(struct check *c, const char *metadata, const char *data)
{
	int r;

	r = offline_open(&c->o, metadata, data);
	if (!r)
		r = offline_load(&c->o);
	if (r)
		return r;
	r = c->o.has_super ? check_index(c) : 0;
	return r ? fail_errno(r, "%s", metadata) : report(c);
}

int check_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	struct check check = { 0 };
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 2, &nr);
	if (r)
		return r;
	document_begin();
	r = run(&check, argv[0], nr == 2 ? argv[1] : NULL);
	document_add("sound", json_object_new_boolean(!r));
	offline_add_findings(&check.o);
	document_end();
	bitmap_exit(&check.used);
	bitmap_exit(&check.owned);
	offline_close(&check.o);
	return r;
}
