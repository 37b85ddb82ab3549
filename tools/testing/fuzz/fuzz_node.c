// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nodes of the index.  In what cdp_node_invalid() finds sound all accessors agree with each
 * other, changes leave a sound node, and a leaf packs to the same versions again.
 */
#include "fuzz.h"
#include "node.h"

enum { BLOCKNR = 77, NR_DATA_BLOCKS = 1 << 30 };

static const u8 uuid[16] = "fuzzed pool's id";

static bool sound(struct fuzz_block *block)
{
	return !cdp_node_invalid(block, uuid, BLOCKNR, NR_DATA_BLOCKS);
}

static void set_blocknr(struct fuzz_block *block)
{
	fuzz_put64(block, offsetof(struct cdp_node_disk, blocknr), BLOCKNR);
}

/*
 * Leaves
 */
static void check_repacked(const struct fuzz_block *leaf)
{
	struct cdp_version v[CDP_LEAF_ENTRIES], w;
	unsigned int i, nr = cdp_node_nr(leaf);
	struct fuzz_block again;

	for (i = 0; i < nr; i++) {
		cdp_leaf_get(leaf, i, &v[i]);
		FUZZ_ASSERT(!cdp_version_invalid(&v[i], NR_DATA_BLOCKS));
		FUZZ_ASSERT(cdp_leaf_lower_bound(leaf, v[i].hi, v[i].time) == i);
		FUZZ_ASSERT(cdp_leaf_lower_bound(leaf, v[i].hi, v[i].time - 1) == i + 1);
	}
	FUZZ_ASSERT(cdp_leaf_fits(v, nr) == nr);
	cdp_leaf_pack(&again, uuid, v, nr);
	set_blocknr(&again);
	FUZZ_ASSERT(sound(&again));
	FUZZ_ASSERT(cdp_node_nr(&again) == nr);
	for (i = 0; i < nr; i++) {
		cdp_leaf_get(&again, i, &w);
		FUZZ_ASSERT(w.hi == v[i].hi && w.time == v[i].time &&
			    w.pblock == v[i].pblock && w.flags == v[i].flags);
	}
}

static void change_leaf(const struct fuzz_block *leaf, const struct cdp_version *v)
{
	struct fuzz_block changed = *leaf;
	unsigned int nr = cdp_node_nr(leaf), from, to;
	int r;

	if (!cdp_version_invalid(v, NR_DATA_BLOCKS)) {
		r = cdp_leaf_insert(&changed, v, 1);
		FUZZ_ASSERT(r <= 1);
		FUZZ_ASSERT(sound(&changed));
		FUZZ_ASSERT(cdp_node_nr(&changed) == nr + (r > 0));
	}
	changed = *leaf;
	from = v->pblock % (nr + 1);
	to = from + v->time % (nr - from + 1);
	cdp_leaf_remove(&changed, from, to);
	FUZZ_ASSERT(sound(&changed));
	FUZZ_ASSERT(cdp_node_nr(&changed) == nr - (to - from));
}

/*
 * Inner nodes
 */
static void check_inner(const struct fuzz_block *inner)
{
	unsigned int i, nr = cdp_node_nr(inner), level = cdp_node_level(inner);

	FUZZ_ASSERT(nr && level);
	for (i = 0; i < nr; i++) {
		struct cdp_key key = cdp_inner_key(inner, i);

		FUZZ_ASSERT(cdp_inner_child(inner, i));
		FUZZ_ASSERT(cdp_inner_search(inner, key.hi, key.time) == i);
	}
}

static void change_inner(const struct fuzz_block *inner, unsigned int at)
{
	struct fuzz_block left = *inner, right;
	unsigned int nr = cdp_node_nr(inner);
	struct cdp_key key;

	if (nr < 2)
		return;
	at = 1 + at % (nr - 1);
	cdp_inner_init(&right, uuid, cdp_node_level(inner));
	cdp_inner_split(&left, &right, at);
	set_blocknr(&right);
	FUZZ_ASSERT(sound(&left) && sound(&right));
	FUZZ_ASSERT(cdp_node_nr(&left) == at && cdp_node_nr(&right) == nr - at);

	left = *inner;
	key = cdp_inner_key(&left, at);
	cdp_inner_remove(&left, at);
	FUZZ_ASSERT(sound(&left));
	cdp_inner_insert(&left, at, key, 1);
	FUZZ_ASSERT(sound(&left));
}

static void use(struct fuzz_block *block, const struct cdp_version *v)
{
	FUZZ_ASSERT(cdp_leaf_lower_bound(block, v->hi, v->time) <= CDP_LEAF_ENTRIES);
	if (cdp_node_level(block)) {
		check_inner(block);
		FUZZ_ASSERT(cdp_inner_search(block, v->hi, v->time) < cdp_node_nr(block));
		change_inner(block, v->pblock);
	} else {
		check_repacked(block);
		change_leaf(block, v);
	}
}

/* The header as it should be, so that what comes behind is reached. */
static void mend(struct fuzz_block *block)
{
	struct cdp_node_disk *d = (void *)block;
	bool leaf = !(d->level & cpu_to_le16(15));

	d->magic = cpu_to_le64(CDP_NODE_MAGIC);
	memcpy(d->uuid, uuid, sizeof(uuid));
	d->blocknr = cpu_to_le64(BLOCKNR);
	d->level &= cpu_to_le16(15);
	d->flags = cpu_to_le32(leaf ? CDP_NODE_LEAF : CDP_NODE_INNER);
	d->entry_size = cpu_to_le16(leaf ? sizeof(struct cdp_leaf_entry_disk) :
				    sizeof(struct cdp_inner_entry_disk));
	d->nr_entries &= cpu_to_le16(255);
}

/* A few bytes of input per version: most random bytes are no leaf. */
static void grow(struct fuzz_block *block, const uint8_t *data, size_t size)
{
	struct cdp_version v[CDP_LEAF_ENTRIES + 8];
	unsigned int nr = 0;
	u64 hi = 0, time = 1ULL << 60;

	for (; size >= 4 && nr < CDP_LEAF_ENTRIES + 8; data += 4, size -= 4) {
		struct cdp_version *next = &v[nr];

		if (data[0] & 1)
			hi += (u64)data[1] << (data[2] % 40);
		time = data[0] & 1 ? time + ((u64)data[3] << data[2] % 48) : time - data[3];
		*next = (struct cdp_version) { .hi = hi, .time = time, .pblock = data[1] };
		if (data[0] & 2) {
			next->flags = CDP_TOMBSTONE;
			next->pblock = 0;
		}
		if (cdp_version_invalid(next, NR_DATA_BLOCKS))
			continue;
		if (!nr || cdp_key_cmp(v[nr - 1].hi, v[nr - 1].time, hi, time) < 0)
			nr++;
	}
	cdp_leaf_pack(block, uuid, v, cdp_leaf_fits(v, nr));
	set_blocknr(block);
	FUZZ_ASSERT(sound(block));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cdp_version v = { 0 };
	struct fuzz_block block;

	if (size < 24)
		return 0;
	memcpy(&v.hi, data, 8);
	memcpy(&v.time, data + 8, 8);
	memcpy(&v.pblock, data + 16, 8);
	data += 24;
	size -= 24;

	fuzz_fill(&block, data, size);
	if (sound(&block))
		use(&block, &v);
	mend(&block);
	if (sound(&block))
		use(&block, &v);

	grow(&block, data, size);
	v.hi = v.hi % 4096;
	v.time = (1ULL << 60) + v.time % 4096;
	v.pblock %= NR_DATA_BLOCKS;
	use(&block, &v);
	return 0;
}
