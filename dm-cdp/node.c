// SPDX-License-Identifier: GPL-2.0-only
#include "node.h"

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/string.h>

/*
 * A leaf entry as two words, see cdp_leaf_entry_disk:
 *   a: offset of hi (32 bits), upper 32 bits of the offset of time
 *   b: lower 16 bits of the offset of time, flags (8), pblock (40)
 * So hi and time compare as one 80-bit number once the bits of time are inverted, because
 * time descends; no entry has to be unpacked for a search.
 */
enum {
	TIME_OFFSET_BITS = 48,
	TIME_LOW_BITS = 16,
	FLAGS_SHIFT = CDP_PBLOCK_BITS,
};

#define TIME_IN_A	0xffffffffULL
#define HI_OFFSET_MAX	0xffffffffULL
#define TIME_OFFSET_MAX	((1ULL << TIME_OFFSET_BITS) - 1)
#define PBLOCK_MASK	((1ULL << CDP_PBLOCK_BITS) - 1)
#define TIME_MAX	((1ULL << CDP_TIME_BITS) - 1)

static_assert(sizeof(struct cdp_node_disk) == 64);
static_assert(sizeof(struct cdp_leaf_entry_disk) == 16);
static_assert(sizeof(struct cdp_inner_entry_disk) == 24);

/* The two words, still packed, and their order. */
struct packed {
	u64 a, b;
};

static struct cdp_leaf_entry_disk *leaf_entries(const void *block)
{
	return (void *)((struct cdp_node_disk *)block + 1);
}

static struct cdp_inner_entry_disk *inner_entries(const void *block)
{
	return (void *)((struct cdp_node_disk *)block + 1);
}

static void set_nr(void *block, unsigned int nr)
{
	((struct cdp_node_disk *)block)->nr_entries = cpu_to_le16(nr);
}

static u64 base_hi(const void *block)
{
	return le64_to_cpu(((const struct cdp_node_disk *)block)->base_hi);
}

static u64 base_time(const void *block)
{
	return le64_to_cpu(((const struct cdp_node_disk *)block)->base_time);
}

static void node_init(void *block, const u8 uuid[16], unsigned int flags, unsigned int level,
		      unsigned int entry_size)
{
	struct cdp_node_disk *node = block;

	memset(node, 0, sizeof(*node));
	node->flags = cpu_to_le32(flags);
	node->magic = cpu_to_le64(CDP_NODE_MAGIC);
	memcpy(node->uuid, uuid, sizeof(node->uuid));
	node->level = cpu_to_le16(level);
	node->entry_size = cpu_to_le16(entry_size);
}

/*
 * Leaves
 */
static u64 packed_time(struct packed p)
{
	return (p.a & TIME_IN_A) << TIME_LOW_BITS | p.b >> TIME_OFFSET_BITS;
}

static struct packed pack(u64 hi_offset, u64 time_offset)
{
	return (struct packed) {
		.a = hi_offset << 32 | time_offset >> TIME_LOW_BITS,
		.b = time_offset << TIME_OFFSET_BITS,
	};
}

static bool packed_before(struct packed p, struct packed q)
{
	u64 p_key = p.a ^ TIME_IN_A, q_key = q.a ^ TIME_IN_A;

	if (p_key != q_key)
		return p_key < q_key;
	return p.b >> TIME_OFFSET_BITS > q.b >> TIME_OFFSET_BITS;
}

static struct packed load(const struct cdp_leaf_entry_disk *e)
{
	return (struct packed) { .a = le64_to_cpu(e->a), .b = le64_to_cpu(e->b) };
}

static void store(struct cdp_leaf_entry_disk *e, struct packed p)
{
	e->a = cpu_to_le64(p.a);
	e->b = cpu_to_le64(p.b);
}

static struct packed pack_version(const struct cdp_version *v, u64 hi, u64 time)
{
	struct packed p = pack(v->hi - hi, v->time - time);

	p.b |= (u64)v->flags << FLAGS_SHIFT | v->pblock;
	return p;
}

unsigned int cdp_leaf_fits(const struct cdp_version *versions, unsigned int nr)
{
	u64 least = ~0ULL, most = 0;
	unsigned int i;

	if (nr > CDP_LEAF_ENTRIES)
		nr = CDP_LEAF_ENTRIES;
	while (nr && versions[nr - 1].hi - versions[0].hi > HI_OFFSET_MAX)
		nr--;

	for (i = 0; i < nr; i++) {
		u64 time = versions[i].time;

		if (time < least)
			least = time;
		if (time > most)
			most = time;
		if (most - least > TIME_OFFSET_MAX)
			break;
	}
	return i;
}

static u64 least_time(const struct cdp_version *versions, unsigned int nr)
{
	u64 least = ~0ULL;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (versions[i].time < least)
			least = versions[i].time;
	return least;
}

void cdp_leaf_pack(void *block, const u8 uuid[16], const struct cdp_version *versions,
		   unsigned int nr)
{
	struct cdp_node_disk *node = block;
	struct cdp_leaf_entry_disk *entries = leaf_entries(block);
	u64 hi = nr ? versions[0].hi : 0;
	u64 time = nr ? least_time(versions, nr) : 0;
	unsigned int i;

	node_init(block, uuid, CDP_NODE_LEAF, 0, sizeof(*entries));
	node->base_hi = cpu_to_le64(hi);
	node->base_time = cpu_to_le64(time);
	set_nr(block, nr);

	for (i = 0; i < nr; i++)
		store(&entries[i], pack_version(&versions[i], hi, time));
	memset(&entries[nr], 0, (CDP_LEAF_ENTRIES - nr) * sizeof(*entries));
}

void cdp_leaf_get(const void *block, unsigned int i, struct cdp_version *version)
{
	struct packed p = load(&leaf_entries(block)[i]);

	version->hi = base_hi(block) + (p.a >> 32);
	version->time = base_time(block) + packed_time(p);
	version->pblock = p.b & PBLOCK_MASK;
	version->flags = p.b >> FLAGS_SHIFT;
}

/* Invariant: all entries before lo are before p, none from hi on is. */
static unsigned int leaf_search(const void *block, unsigned int lo, struct packed p)
{
	const struct cdp_leaf_entry_disk *entries = leaf_entries(block);
	unsigned int hi = cdp_node_nr(block);

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (packed_before(load(&entries[mid]), p))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

unsigned int cdp_leaf_lower_bound(const void *block, u64 hi, u64 time)
{
	u64 hi_offset = hi - base_hi(block), time_offset = time - base_time(block);

	if (hi < base_hi(block))
		return 0;
	if (time < base_time(block)) {		/* older than all: the next hi it is */
		hi_offset++;
		time_offset = TIME_OFFSET_MAX;
	} else if (time_offset > TIME_OFFSET_MAX) {
		time_offset = TIME_OFFSET_MAX;
	}
	if (hi_offset > HI_OFFSET_MAX)
		return cdp_node_nr(block);
	return leaf_search(block, 0, pack(hi_offset, time_offset));
}

static int insert_check(const void *block, const struct cdp_version *versions, unsigned int nr)
{
	u64 hi = base_hi(block), time = base_time(block);
	unsigned int i;

	if (cdp_node_nr(block) + nr > CDP_LEAF_ENTRIES)
		return -ENOSPC;
	if (!cdp_node_nr(block))
		return -ERANGE;		/* no bases yet */
	for (i = 0; i < nr; i++)
		if (versions[i].hi < hi || versions[i].hi - hi > HI_OFFSET_MAX ||
		    versions[i].time < time || versions[i].time - time > TIME_OFFSET_MAX)
			return -ERANGE;
	return 0;
}

/*
 * First forward, to find the places and to replace what is there already; then backward, so
 * that each entry moves once.
 */
int cdp_leaf_insert(void *block, const struct cdp_version *versions, unsigned int nr)
{
	enum { REPLACED = 255 };
	struct cdp_leaf_entry_disk *entries = leaf_entries(block);
	u64 hi = base_hi(block), time = base_time(block);
	unsigned int i, at = 0, end = cdp_node_nr(block), added = 0, shift;
	u8 places[CDP_LEAF_ENTRIES];
	int r;

	static_assert(CDP_LEAF_ENTRIES < REPLACED);
	r = insert_check(block, versions, nr);
	if (r)
		return r;

	for (i = 0; i < nr; i++) {
		struct packed p = pack_version(&versions[i], hi, time);

		at = leaf_search(block, at, p);
		places[i] = at;
		if (at < end && !packed_before(p, load(&entries[at]))) {
			store(&entries[at], p);
			places[i] = REPLACED;
		} else {
			added++;
		}
	}

	set_nr(block, end + added);
	for (shift = added; shift; ) {
		i--;
		at = places[i];
		if (at == REPLACED)
			continue;
		memmove(&entries[at + shift], &entries[at], (end - at) * sizeof(*entries));
		end = at;
		shift--;
		store(&entries[at + shift], pack_version(&versions[i], hi, time));
	}
	return added;
}

/* Makes the bases the least hi and the least time again. */
static void leaf_rebase(void *block)
{
	struct cdp_node_disk *node = block;
	struct cdp_leaf_entry_disk *entries = leaf_entries(block);
	unsigned int i, nr = cdp_node_nr(block);
	u64 hi = nr ? load(&entries[0]).a >> 32 : 0, time = nr ? TIME_OFFSET_MAX : 0;

	for (i = 0; i < nr; i++) {
		u64 offset = packed_time(load(&entries[i]));

		if (offset < time)
			time = offset;
	}
	for (i = 0; i < nr; i++) {
		struct packed p = load(&entries[i]);
		struct packed q = pack((p.a >> 32) - hi, packed_time(p) - time);

		q.b |= p.b & ((1ULL << TIME_OFFSET_BITS) - 1);
		store(&entries[i], q);
	}
	node->base_hi = cpu_to_le64(nr ? base_hi(block) + hi : 0);
	node->base_time = cpu_to_le64(nr ? base_time(block) + time : 0);
}

void cdp_leaf_remove(void *block, unsigned int from, unsigned int to)
{
	struct cdp_leaf_entry_disk *entries = leaf_entries(block);
	unsigned int nr = cdp_node_nr(block), left = nr - (to - from);

	memmove(&entries[from], &entries[to], (nr - to) * sizeof(*entries));
	memset(&entries[left], 0, (nr - left) * sizeof(*entries));
	set_nr(block, left);
	leaf_rebase(block);
}

/*
 * Inner nodes
 */
void cdp_inner_init(void *block, const u8 uuid[16], unsigned int level)
{
	memset(block, 0, CDP_UNIT_SIZE);
	node_init(block, uuid, CDP_NODE_INNER, level, sizeof(struct cdp_inner_entry_disk));
}

/* Invariant: entry lo (or lo is 0) is not after the key, entry hi (or hi is nr) is. */
unsigned int cdp_inner_search(const void *block, u64 hi, u64 time)
{
	const struct cdp_inner_entry_disk *entries = inner_entries(block);
	unsigned int lo = 0, end = cdp_node_nr(block);

	while (end - lo > 1) {
		unsigned int mid = (lo + end) / 2;
		u64 mid_hi = le64_to_cpu(entries[mid].hi);

		if (mid_hi < hi || (mid_hi == hi && le64_to_cpu(entries[mid].time) >= time))
			lo = mid;
		else
			end = mid;
	}
	return lo;
}

struct cdp_key cdp_inner_key(const void *block, unsigned int i)
{
	const struct cdp_inner_entry_disk *e = &inner_entries(block)[i];

	return (struct cdp_key) { le64_to_cpu(e->hi), le64_to_cpu(e->time) };
}

void cdp_inner_set_key(void *block, unsigned int i, struct cdp_key key)
{
	struct cdp_inner_entry_disk *e = &inner_entries(block)[i];

	e->hi = cpu_to_le64(key.hi);
	e->time = cpu_to_le64(key.time);
}

u64 cdp_inner_child(const void *block, unsigned int i)
{
	return le64_to_cpu(inner_entries(block)[i].child);
}

void cdp_inner_set_child(void *block, unsigned int i, u64 child)
{
	inner_entries(block)[i].child = cpu_to_le64(child);
}

void cdp_inner_insert(void *block, unsigned int i, struct cdp_key key, u64 child)
{
	struct cdp_inner_entry_disk *entries = inner_entries(block);
	unsigned int nr = cdp_node_nr(block);

	memmove(&entries[i + 1], &entries[i], (nr - i) * sizeof(*entries));
	cdp_inner_set_key(block, i, key);
	cdp_inner_set_child(block, i, child);
	set_nr(block, nr + 1);
}

void cdp_inner_remove(void *block, unsigned int i)
{
	struct cdp_inner_entry_disk *entries = inner_entries(block);
	unsigned int nr = cdp_node_nr(block) - 1;

	memmove(&entries[i], &entries[i + 1], (nr - i) * sizeof(*entries));
	memset(&entries[nr], 0, sizeof(*entries));
	set_nr(block, nr);
}

void cdp_inner_split(void *block, void *right, unsigned int from)
{
	struct cdp_inner_entry_disk *entries = inner_entries(block);
	unsigned int nr = cdp_node_nr(block) - from;

	memcpy(inner_entries(right), &entries[from], nr * sizeof(*entries));
	memset(&entries[from], 0, nr * sizeof(*entries));
	set_nr(right, nr);
	set_nr(block, from);
}

/*
 * Checking
 */
const char *cdp_version_invalid(const struct cdp_version *v, u64 nr_data_blocks)
{
	u64 blocks = cdp_hi_blocks(v->hi);

	if (!v->time || v->time > TIME_MAX)
		return "version with an impossible time";
	if (cdp_hi_lba(v->hi) & (blocks - 1))
		return "extent is not aligned to its level";
	if (v->flags & ~CDP_TOMBSTONE)
		return "version with unknown flags";
	if (v->flags & CDP_TOMBSTONE)
		return v->pblock ? "tombstone with data" : NULL;
	if (cdp_hi_level(v->hi) > CDP_MAX_WRITE_LEVEL)
		return "extent of data is too large";
	if (v->pblock >= nr_data_blocks || blocks > nr_data_blocks - v->pblock)
		return "data beyond the end of the device";
	return NULL;
}

static const char *leaf_invalid(const void *block, u64 nr_data_blocks)
{
	const struct cdp_leaf_entry_disk *entries = leaf_entries(block);
	unsigned int i, nr = cdp_node_nr(block);
	struct packed last = { 0, 0 };
	u64 hi = base_hi(block);

	if (base_time(block) > TIME_MAX)
		return "impossible base time";

	for (i = 0; i < nr; i++) {
		struct packed p = load(&entries[i]);
		struct cdp_version v;
		const char *why;

		if (hi + (p.a >> 32) < hi)
			return "offset overflows";
		if (i && !packed_before(last, p))
			return "versions are out of order";
		cdp_leaf_get(block, i, &v);
		why = cdp_version_invalid(&v, nr_data_blocks);
		if (why)
			return why;
		last = p;
	}
	return NULL;
}

static const char *inner_invalid(const void *block, u64 blocknr)
{
	unsigned int i, nr = cdp_node_nr(block);

	for (i = 0; i < nr; i++) {
		u64 child = cdp_inner_child(block, i);

		if (!child || child == blocknr)
			return "impossible child";
		if (i && !cdp_key_before(cdp_inner_key(block, i - 1), cdp_inner_key(block, i)))
			return "children are out of order";
	}
	return NULL;
}

const char *cdp_node_invalid(const void *block, const u8 uuid[16], u64 blocknr,
			     u64 nr_data_blocks)
{
	const struct cdp_node_disk *node = block;
	unsigned int flags = le32_to_cpu(node->flags);
	unsigned int nr = cdp_node_nr(block), level = cdp_node_level(block);
	bool leaf = flags == CDP_NODE_LEAF;

	if (le64_to_cpu(node->magic) != CDP_NODE_MAGIC)
		return "not a node of the index";
	if (memcmp(node->uuid, uuid, sizeof(node->uuid)))
		return "node of another pool";
	if (le64_to_cpu(node->blocknr) != blocknr)
		return "node of another place";
	if (flags != CDP_NODE_LEAF && flags != CDP_NODE_INNER)
		return "neither leaf nor inner node";
	if (leaf ? level : !level || level > CDP_MAX_DEPTH)
		return "impossible level";
	if (le16_to_cpu(node->entry_size) != (leaf ? sizeof(struct cdp_leaf_entry_disk) :
						     sizeof(struct cdp_inner_entry_disk)))
		return "wrong size of entries";
	if (nr > (leaf ? CDP_LEAF_ENTRIES : CDP_INNER_ENTRIES))
		return "too many entries";
	if (!leaf && !nr)
		return "inner node without children";
	return leaf ? leaf_invalid(block, nr_data_blocks) : inner_invalid(block, blocknr);
}
