// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "pool_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/crc32c.h>

static const u8 uuid[16] = "pool in a file";

enum { BTREE_XOR = 121107, ARRAY_XOR = 595846735, INDEX_XOR = 160478, BITMAP_XOR = 240779 };

static const u32 xors[POOL_USED] = {
	[POOL_VOLUMES] = BTREE_XOR, [POOL_BRANCHES] = BTREE_XOR, [POOL_MARKS] = BTREE_XOR,
	[POOL_SPACE] = BTREE_XOR, [POOL_SM_COUNTS] = BTREE_XOR, [POOL_WORDS] = ARRAY_XOR,
	[POOL_SM_INDEX] = INDEX_XOR, [POOL_SM_BITMAP] = BITMAP_XOR,
};

static void put32(void *p, u32 value)
{
	__le32 v = cpu_to_le32(value);

	memcpy(p, &v, sizeof(v));
}

static void put64(void *p, u64 value)
{
	__le64 v = cpu_to_le64(value);

	memcpy(p, &v, sizeof(v));
}

void pool_image_seal(struct pool_image *p, enum pool_block block)
{
	u8 *b = p->metadata[block];
	size_t len = block == POOL_SUPER ? 512 : CDP_UNIT_SIZE;

	put32(b, crc32c(~0, b + 4, len - 4) ^ xors[block]);
}

/* A leaf with room for as many as fit, 3 at a time as the library does. */
static void btree_leaf(struct pool_image *p, enum pool_block block, const u64 *keys,
		       const void *values, u32 nr, u32 value_size)
{
	u32 i, max = (CDP_UNIT_SIZE - 32) / (8 + value_size) / 3 * 3;
	u8 *b = p->metadata[block];

	memset(b, 0, CDP_UNIT_SIZE);
	put32(b + 4, 2);
	put64(b + 8, block);
	put32(b + 16, nr);
	put32(b + 20, max);
	put32(b + 24, value_size);
	for (i = 0; i < nr; i++) {
		put64(b + 32 + 8 * i, keys[i]);
		memcpy(b + 32 + 8 * max + i * value_size,
		       (const u8 *)values + i * value_size, value_size);
	}
	pool_image_seal(p, block);
}

static void build_catalog(struct pool_image *p)
{
	const u64 volume = 1, branches[] = { 1ULL << 32, 1ULL << 32 | 1 };

	btree_leaf(p, POOL_VOLUMES, &volume, &p->volume, 1, sizeof(p->volume));
	btree_leaf(p, POOL_BRANCHES, branches, p->branches, 2, sizeof(p->branches[0]));
	btree_leaf(p, POOL_MARKS, p->mark_times, p->marks, 2, sizeof(p->marks[0]));
}

static void build_space(struct pool_image *p)
{
	const u64 key = 0;
	const __le64 child = cpu_to_le64(POOL_WORDS);
	u8 *b = p->metadata[POOL_WORDS];

	btree_leaf(p, POOL_SPACE, &key, &child, 1, sizeof(child));
	memset(b, 0, CDP_UNIT_SIZE);
	put32(b + 4, (CDP_UNIT_SIZE - 24) / 8);
	put32(b + 8, ARRAY_SIZE(p->words));
	put32(b + 12, 8);
	put64(b + 16, POOL_WORDS);
	memcpy(b + 24, p->words, sizeof(p->words));
	pool_image_seal(p, POOL_WORDS);
}

/* Two bits a block, the upper one of its count first: 10 is one reference. */
static void build_space_map(struct pool_image *p)
{
	u8 *index = p->metadata[POOL_SM_INDEX], *bitmap = p->metadata[POOL_SM_BITMAP];
	int i;

	memset(index, 0, CDP_UNIT_SIZE);
	put64(index + 8, POOL_SM_INDEX);
	put64(index + 16, POOL_SM_BITMAP);
	put32(index + 24, 16320 - POOL_USED);	/* the bits beyond the end too */
	pool_image_seal(p, POOL_SM_INDEX);

	memset(bitmap, 0, CDP_UNIT_SIZE);
	put64(bitmap + 8, POOL_SM_BITMAP);
	for (i = 0; i < POOL_USED; i++)
		bitmap[16 + i / 4] |= 2 << i % 4 * 2;
	pool_image_seal(p, POOL_SM_BITMAP);

	btree_leaf(p, POOL_SM_COUNTS, NULL, NULL, 0, 4);
	put64(p->super.metadata_space_map_root, POOL_NR_BLOCKS);
	put64(p->super.metadata_space_map_root + 8, POOL_USED);
	put64(p->super.metadata_space_map_root + 16, POOL_SM_INDEX);
	put64(p->super.metadata_space_map_root + 24, POOL_SM_COUNTS);
}

static void set_place(struct pool_image *p, enum pool_block block)
{
	((struct cdp_node_disk *)p->metadata[block])->blocknr = cpu_to_le64(block);
	pool_image_seal(p, block);
}

static void build_index(struct pool_image *p)
{
	const struct cdp_version *v = p->versions;
	u8 *root = p->metadata[POOL_ROOT];

	/* The level is in the upper bits: another one does not fit the same leaf. */
	cdp_leaf_pack(p->metadata[POOL_LEAF_0], uuid, v, 5);
	cdp_leaf_pack(p->metadata[POOL_LEAF_1], uuid, v + 5, 1);
	cdp_inner_init(root, uuid, 1);
	cdp_inner_insert(root, 0, (struct cdp_key){ v[0].hi, v[0].time }, POOL_LEAF_0);
	cdp_inner_insert(root, 1, (struct cdp_key){ v[5].hi, v[5].time }, POOL_LEAF_1);
	set_place(p, POOL_LEAF_0);
	set_place(p, POOL_LEAF_1);
	set_place(p, POOL_ROOT);
}

static void *journal_block(struct pool_image *p, u64 seq)
{
	struct cdp_journal_header header = {
		.seq = seq, .commit_seq = seq, .durable_seq = seq - 1,
	};
	void *block = p->data[1 + seq % POOL_JOURNAL_BLOCKS];

	cdp_journal_init(block, uuid, &header);
	return block;
}

static void add_event(void *block, const struct cdp_record *record)
{
	u8 buf[CDP_RECORD_MAX] __attribute__((aligned(8)));
	unsigned int len = cdp_record_pack(buf, record);

	memcpy(cdp_journal_append(block, len), buf, len);
}

static void build_journal(struct pool_image *p)
{
	void *block = journal_block(p, POOL_JOURNAL_SEQ);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(p->journaled); i++)
		cdp_write_record_pack(cdp_journal_append(block,
							 sizeof(struct cdp_write_record_disk)),
				      &p->journaled[i], 0);
	add_event(block, &p->mark);
	cdp_journal_seal(block);
	block = journal_block(p, POOL_JOURNAL_SEQ + 1);
	add_event(block, &p->revert);
	if (p->last.time)
		cdp_write_record_pack(cdp_journal_append(block,
							 sizeof(struct cdp_write_record_disk)),
				      &p->last, p->last_csum);
	cdp_journal_seal(block);
}

void pool_image_build(struct pool_image *p)
{
	build_catalog(p);
	build_space(p);
	build_space_map(p);
	build_index(p);
	build_journal(p);
	cdp_super_pack(p->metadata[POOL_SUPER], &p->super);
	cdp_label_pack(p->data[0], &p->label);
}

static void init_super(struct cdp_super *s)
{
	memcpy(s->uuid, uuid, sizeof(uuid));
	s->generation = 3;
	s->time = 9000;
	s->journal_seq = POOL_JOURNAL_SEQ;
	s->block_sectors = 8;
	s->next_volume = 2;
	s->data_start = 2048;
	s->nr_data_blocks = POOL_DATA_BLOCKS;
	s->nr_metadata_blocks = POOL_NR_BLOCKS;
	s->journal_blocks = POOL_JOURNAL_BLOCKS;
	s->used_data_blocks = 12;
	s->tree_root = POOL_ROOT;
	s->tree_entries = POOL_VERSIONS;
	s->tree_leaves = 2;
	s->tree_depth = 1;
	s->nr_marks = 2;
	s->volumes_root = POOL_VOLUMES;
	s->branches_root = POOL_BRANCHES;
	s->marks_root = POOL_MARKS;
	s->space_root = POOL_SPACE;
}

static void init_catalog(struct pool_image *p)
{
	int i;

	p->volume.nr_sectors = cpu_to_le64(8 * 1000);
	p->volume.created = cpu_to_le64(1000);
	p->volume.nr_branches = cpu_to_le32(2);
	strcpy((char *)p->volume.name, "vm");
	for (i = 0; i < CDP_NR_LEVELS; i++)
		p->volume.newest[i] = cpu_to_le64(9000);
	p->branches[0].start = cpu_to_le64(1000);
	p->branches[1].start = cpu_to_le64(5000);
	p->branches[1].revert_to = cpu_to_le64(2000);
	p->mark_times[0] = 1500;
	p->mark_times[1] = 4000;
	strcpy((char *)p->marks[0].name, "all");
	strcpy((char *)p->marks[1].name, "one");
	p->marks[1].nr_volumes = cpu_to_le32(1);
	p->marks[1].volumes[0] = cpu_to_le32(1);
}

static void init_versions(struct pool_image *p)
{
	const struct cdp_version versions[POOL_VERSIONS] = {
		{ .hi = cdp_hi(1, 0, 10), .time = 6000, .pblock = 0 },
		{ .hi = cdp_hi(1, 0, 10), .time = 1100, .pblock = 1 },
		{ .hi = cdp_hi(1, 0, 11), .time = 1200, .flags = CDP_TOMBSTONE },
		{ .hi = cdp_hi(1, 0, 11), .time = 1100, .pblock = 2 },
		{ .hi = cdp_hi(1, 0, 999), .time = 8000, .pblock = 199 },
		{ .hi = cdp_hi(1, 1, 16), .time = 7000, .pblock = 60 },
	};

	memcpy(p->versions, versions, sizeof(versions));
	p->words[0] = cpu_to_le64(7ULL | 0xfULL << 60);
	p->words[1] = cpu_to_le64(0xfULL);
	p->words[3] = cpu_to_le64(1ULL << (199 - 192));
	p->journaled[0] = versions[4];
	p->journaled[1] = (struct cdp_version){ .hi = cdp_hi(1, 0, 12), .time = 9100, .pblock = 3 };
	p->mark = (struct cdp_record){ .type = CDP_REC_MARK, .time = 9200, .name = "late" };
	p->revert = (struct cdp_record){ .type = CDP_REC_REVERT, .volume = 1, .time = 9300,
					 .revert_to = 4000 };
}

struct pool_image *pool_image_new(void)
{
	struct pool_image *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	init_super(&p->super);
	memcpy(p->label.uuid, uuid, sizeof(uuid));
	p->label.block_sectors = p->super.block_sectors;
	p->label.data_start = p->super.data_start;
	p->label.journal_blocks = p->super.journal_blocks;
	init_catalog(p);
	init_versions(p);
	pool_image_build(p);
	return p;
}

static void write_file(char *path, const void *bytes, size_t len, u64 size)
{
	int fd;

	if (!*path) {
		strcpy(path, "/tmp/cdp-unit.XXXXXX");
		fd = mkstemp(path);
	} else {
		fd = open(path, O_WRONLY);
	}
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

void pool_image_write(struct pool_image *p)
{
	write_file(p->metadata_path, p->metadata, sizeof(p->metadata), sizeof(p->metadata));
	write_file(p->data_path, p->data, sizeof(p->data), POOL_DATA_UNITS * CDP_UNIT_SIZE);
}

void pool_image_free(struct pool_image *p)
{
	if (*p->metadata_path)
		unlink(p->metadata_path);
	if (*p->data_path)
		unlink(p->data_path);
	free(p);
}
