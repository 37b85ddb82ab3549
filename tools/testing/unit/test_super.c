// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "super.h"

#include <linux/crc32c.h>
#include <asm/byteorder.h>

#define AT(member) offsetof(struct cdp_super_disk, member)
#define LABEL_AT(member) offsetof(struct cdp_label_disk, member)

static u8 block[CDP_UNIT_SIZE];

static struct cdp_super sound_super(void)
{
	struct cdp_super s = {
		.uuid = "the pool's uuid",
		.generation = 11,
		.time = 1795269790000000,
		.journal_seq = 12,
		.block_sectors = 8,
		.next_volume = 3,
		.data_start = cdp_data_start(1000),
		.nr_data_blocks = 100000,
		.nr_metadata_blocks = 4096,
		.journal_blocks = 1000,
		.used_data_blocks = 500,
		.tree_root = 21,
		.tree_entries = 22,
		.tree_leaves = 23,
		.tree_depth = 2,
		.nr_marks = 24,
		.volumes_root = 25,
		.branches_root = 26,
		.marks_root = 27,
		.space_root = 28,
		.metadata_space_map_root = "space map",
	};

	return s;
}

static struct cdp_label sound_label(void)
{
	const struct cdp_super s = sound_super();
	struct cdp_label l = {
		.block_sectors = s.block_sectors,
		.data_start = s.data_start,
		.journal_blocks = s.journal_blocks,
	};

	memcpy(l.uuid, s.uuid, sizeof(l.uuid));
	return l;
}

static void put(unsigned int at, unsigned int len, u64 value)
{
	__le64 v = cpu_to_le64(value);

	memcpy(block + at, &v, len);
}

static u64 get(unsigned int at, unsigned int len)
{
	__le64 v = 0;

	memcpy(&v, block + at, len);
	return le64_to_cpu(v);
}

static void seal(void)
{
	put(0, 4, crc32c(~0, block + 4, 512 - 4));
}

static const char *unpack_super(void)
{
	struct cdp_super s;

	return cdp_super_unpack(&s, block);
}

static const char *unpack_label(void)
{
	struct cdp_label l;

	return cdp_label_unpack(&l, block);
}

static void says(const char *why, const char *reason)
{
	if (!why || !strstr(why, reason))
		fail_msg("'%s' instead of '%s'", why ?: "sound", reason);
}

static void a_superblock_comes_back_as_it_went(void **state)
{
	struct cdp_super s = { 0 }, again = { 0 };
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		u64 wide = i ? random_u64() : ~0ULL;

		s = sound_super();
		s.block_sectors = 8 << random_below(5);
		s.journal_blocks = i ? 16 + random_below((1 << 20) - 15) : 1 << 20;
		s.data_start = cdp_data_start(s.journal_blocks);
		s.nr_data_blocks = 1 + random_below((1ULL << 40) - 1);
		s.used_data_blocks = random_below(s.nr_data_blocks + 1);
		s.time = wide >> 2;
		s.next_volume = wide >> 40;
		s.tree_depth = random_below(13);
		s.generation = s.journal_seq = s.nr_metadata_blocks = wide;
		s.tree_root = s.tree_entries = s.tree_leaves = ~wide;
		s.nr_marks = wide;
		s.volumes_root = s.branches_root = s.marks_root = s.space_root = wide;
		memset(s.metadata_space_map_root, wide, sizeof(s.metadata_space_map_root));
		memset(s.uuid, wide >> 8, sizeof(s.uuid));
		memset(block, 0xee, sizeof(block));
		cdp_super_pack(block, &s);
		assert_null(cdp_super_unpack(&again, block));
		assert_memory_equal(&s, &again, sizeof(s));
	}
}

static void a_label_comes_back_as_it_went(void **state)
{
	struct cdp_label l = { 0 }, again = { 0 };
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		l = sound_label();
		l.block_sectors = 8 << random_below(5);
		l.journal_blocks = 16 + random_below((1 << 20) - 15);
		l.data_start = cdp_data_start(l.journal_blocks);
		memset(block, 0xee, sizeof(block));
		cdp_label_pack(block, &l);
		assert_null(cdp_label_unpack(&again, block));
		assert_memory_equal(l.uuid, again.uuid, sizeof(l.uuid));
		assert_int_equal(l.block_sectors, again.block_sectors);
		assert_int_equal(l.data_start, again.data_start);
		assert_int_equal(l.journal_blocks, again.journal_blocks);
	}
}

/* The bytes, as the format's document has them. */
static void the_bytes_stand_where_the_document_says(void **state)
{
	const struct cdp_super s = sound_super();
	const struct cdp_label l = sound_label();
	unsigned int i;

	cdp_super_pack(block, &s);
	assert_int_equal(get(4, 4), 1);
	assert_memory_equal(block + 8, "CDPSUpeR", 8);
	assert_memory_equal(block + 16, s.uuid, 16);
	for (i = 32; i < 64; i++)	/* blocknr and the feature words */
		assert_int_equal(block[i], 0);
	assert_int_equal(get(64, 8), s.generation);
	assert_int_equal(get(72, 8), s.time);
	assert_int_equal(get(80, 8), s.journal_seq);
	assert_int_equal(get(88, 4), s.block_sectors);
	assert_int_equal(get(92, 4), s.next_volume);
	assert_int_equal(get(96, 8), s.data_start);
	assert_int_equal(get(104, 8), s.nr_data_blocks);
	assert_int_equal(get(112, 8), s.nr_metadata_blocks);
	assert_int_equal(get(120, 8), s.journal_blocks);
	assert_int_equal(get(128, 8), s.used_data_blocks);
	assert_int_equal(get(136, 8), s.tree_root);
	assert_int_equal(get(144, 8), s.tree_entries);
	assert_int_equal(get(152, 8), s.tree_leaves);
	assert_int_equal(get(160, 4), s.tree_depth);
	assert_int_equal(get(164, 4), s.nr_marks);
	assert_int_equal(get(168, 8), s.volumes_root);
	assert_int_equal(get(176, 8), s.branches_root);
	assert_int_equal(get(184, 8), s.marks_root);
	assert_int_equal(get(192, 8), s.space_root);
	assert_memory_equal(block + 200, s.metadata_space_map_root, 128);
	for (i = 328; i < CDP_UNIT_SIZE; i++)
		assert_int_equal(block[i], 0);

	cdp_label_pack(block, &l);
	assert_int_equal(get(4, 4), 1);
	assert_memory_equal(block + 8, "CDPLabel", 8);
	assert_memory_equal(block + 16, l.uuid, 16);
	assert_int_equal(get(32, 8), 0);
	assert_int_equal(get(40, 4), l.block_sectors);
	assert_int_equal(get(48, 8), l.data_start);
	assert_int_equal(get(56, 8), l.journal_blocks);
	for (i = 64; i < CDP_UNIT_SIZE; i++)
		assert_int_equal(block[i], 0);
}

static void the_checksum_is_crc32c_as_documented(void **state)
{
	assert_int_equal(crc32c(~0, "123456789", 9), 0x1cf96d7c);
	assert_int_equal(crc32c(crc32c(~0, "1234", 4), "56789", 5), 0x1cf96d7c);
}

static void data_start_at_a_mib(void **state)
{
	assert_int_equal(cdp_data_start(16), 2048);
	assert_int_equal(cdp_data_start(255), 2048);
	assert_int_equal(cdp_data_start(256), 4096);
	assert_int_equal(cdp_data_start(1 << 20), (8 << 20) + 2048);
}

/* A bit of the sector that counts, anywhere. */
static void no_bit_may_flip(void **state)
{
	const struct cdp_super s = sound_super();
	const struct cdp_label l = sound_label();
	unsigned int bit;

	cdp_super_pack(block, &s);
	for (bit = 0; bit < 512 * 8; bit++) {
		block[bit / 8] ^= 1 << bit % 8;
		assert_non_null(unpack_super());
		block[bit / 8] ^= 1 << bit % 8;
	}
	assert_null(unpack_super());

	cdp_label_pack(block, &l);
	for (bit = 0; bit < 512 * 8; bit++) {
		block[bit / 8] ^= 1 << bit % 8;
		assert_non_null(unpack_label());
		block[bit / 8] ^= 1 << bit % 8;
	}
	assert_null(unpack_label());
}

static void what_is_behind_the_sector_does_not_count(void **state)
{
	const struct cdp_super s = sound_super();
	const struct cdp_label l = sound_label();

	cdp_super_pack(block, &s);
	memset(block + 512, 0xff, sizeof(block) - 512);
	assert_null(unpack_super());
	cdp_label_pack(block, &l);
	memset(block + 512, 0xff, sizeof(block) - 512);
	assert_null(unpack_label());
}

struct field {
	unsigned int at, len;
	u64 value;
	const char *reason;		/* NULL: sound */
};

/* Each change alone, with the checksum made right. */
static void judge(const struct field *f, unsigned int nr, const char *(*unpack)(void))
{
	u8 sound[CDP_UNIT_SIZE];
	unsigned int i;

	memcpy(sound, block, sizeof(sound));
	for (i = 0; i < nr; i++) {
		put(f[i].at, f[i].len, f[i].value);
		seal();
		if (f[i].reason)
			says(unpack(), f[i].reason);
		else
			assert_null(unpack());
		memcpy(block, sound, sizeof(sound));
	}
	assert_null(unpack());
}

static void each_field_of_a_superblock_has_its_bounds(void **state)
{
	static const struct field fields[] = {
		{ AT(magic), 8, CDP_LABEL_MAGIC, "not the metadata device" },
		{ AT(magic), 8, 0, "not the metadata device" },
		{ AT(version), 4, 0, "version" },
		{ AT(version), 4, 2, "version" },
		{ AT(blocknr), 8, 1, "place" },
		{ AT(blocknr), 8, 1ULL << 63, "place" },
		{ AT(block_sectors), 4, 0, "block size" },
		{ AT(block_sectors), 4, 4, "block size" },
		{ AT(block_sectors), 4, 9, "block size" },
		{ AT(block_sectors), 4, 24, "block size" },
		{ AT(block_sectors), 4, 16, NULL },
		{ AT(block_sectors), 4, 128, NULL },
		{ AT(block_sectors), 4, 256, "block size" },
		{ AT(block_sectors), 4, 1U << 31, "block size" },
		{ AT(journal_blocks), 8, 0, "journal size" },
		{ AT(journal_blocks), 8, 15, "journal size" },
		{ AT(journal_blocks), 8, (1 << 20) + 1, "journal size" },
		{ AT(journal_blocks), 8, ~0ULL, "journal size" },
		{ AT(journal_blocks), 8, 2000, "data area" },
		{ AT(data_start), 8, 0, "data area" },
		{ AT(data_start), 8, 8193, "data area" },
		{ AT(data_start), 8, 1ULL << 40, "data area" },
		{ AT(nr_data_blocks), 8, 0, "number of data blocks" },
		{ AT(nr_data_blocks), 8, (1ULL << 40) - 1, NULL },
		{ AT(nr_data_blocks), 8, 1ULL << 40, "number of data blocks" },
		{ AT(nr_data_blocks), 8, 499, "more data blocks" },
		{ AT(nr_data_blocks), 8, 500, NULL },
		{ AT(used_data_blocks), 8, 100000, NULL },
		{ AT(used_data_blocks), 8, 100001, "more data blocks" },
		{ AT(used_data_blocks), 8, ~0ULL, "more data blocks" },
		{ AT(tree_depth), 4, 12, NULL },
		{ AT(tree_depth), 4, 13, "too deep" },
		{ AT(tree_depth), 4, ~0U, "too deep" },
		{ AT(time), 8, 0, NULL },
		{ AT(time), 8, (1ULL << 62) - 1, NULL },
		{ AT(time), 8, 1ULL << 62, "time" },
		{ AT(time), 8, ~0ULL, "time" },
		{ AT(next_volume), 4, (1 << 24) - 1, NULL },
		{ AT(next_volume), 4, 1 << 24, "volume number" },
		{ AT(next_volume), 4, ~0U, "volume number" },
		{ AT(reserved), 8, ~0ULL, NULL },
	};
	const struct cdp_super s = sound_super();

	cdp_super_pack(block, &s);
	judge(fields, ARRAY_SIZE(fields), unpack_super);
}

static void each_field_of_a_label_has_its_bounds(void **state)
{
	static const struct field fields[] = {
		{ LABEL_AT(magic), 8, CDP_SUPER_MAGIC, "not the data device" },
		{ LABEL_AT(magic), 8, 0, "not the data device" },
		{ LABEL_AT(version), 4, 0, "version" },
		{ LABEL_AT(version), 4, 2, "version" },
		{ LABEL_AT(blocknr), 8, 1, "place" },
		{ LABEL_AT(block_sectors), 4, 4, "sizes" },
		{ LABEL_AT(block_sectors), 4, 12, "sizes" },
		{ LABEL_AT(block_sectors), 4, 128, NULL },
		{ LABEL_AT(block_sectors), 4, 256, "sizes" },
		{ LABEL_AT(journal_blocks), 8, 15, "sizes" },
		{ LABEL_AT(journal_blocks), 8, 2000, "sizes" },
		{ LABEL_AT(journal_blocks), 8, ~0ULL, "sizes" },
		{ LABEL_AT(data_start), 8, 0, "sizes" },
		{ LABEL_AT(data_start), 8, 8193, "sizes" },
		{ LABEL_AT(reserved0), 4, ~0U, NULL },
		{ LABEL_AT(reserved), 8, ~0ULL, NULL },
	};
	const struct cdp_label l = sound_label();

	cdp_label_pack(block, &l);
	judge(fields, ARRAY_SIZE(fields), unpack_label);
}

static void a_journal_has_16_to_2_to_the_20_blocks(void **state)
{
	static const u64 sizes[] = { 16, 1 << 20 };
	struct cdp_super s = sound_super();
	struct cdp_label l = sound_label();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		s.journal_blocks = l.journal_blocks = sizes[i];
		s.data_start = l.data_start = cdp_data_start(sizes[i]);
		cdp_super_pack(block, &s);
		assert_null(unpack_super());
		cdp_label_pack(block, &l);
		assert_null(unpack_label());
	}
	s.journal_blocks = l.journal_blocks = 15;
	s.data_start = l.data_start = cdp_data_start(15);
	cdp_super_pack(block, &s);
	says(unpack_super(), "journal size");
	cdp_label_pack(block, &l);
	says(unpack_label(), "sizes");
}

static void only_incompatible_features_keep_a_pool_shut(void **state)
{
	const struct cdp_super s = sound_super();
	struct cdp_super again;
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		cdp_super_pack(block, &s);
		put(AT(compat), 8, 1ULL << bit);
		put(AT(autoclear), 8, 1ULL << bit);
		seal();
		assert_null(cdp_super_unpack(&again, block));
		put(AT(incompat), 8, 1ULL << bit);
		seal();
		says(unpack_super(), "features");
	}
	/* The next commit keeps the ones and clears the others. */
	cdp_super_pack(block, &again);
	assert_int_equal(get(AT(compat), 8), 1ULL << 63);
	assert_int_equal(get(AT(autoclear), 8), 0);
}

static void devices_belong_together_or_not(void **state)
{
	const struct cdp_super s = sound_super();
	struct cdp_label l = sound_label();

	assert_null(cdp_label_mismatch(&l, &s));
	l.uuid[15] ^= 1;
	says(cdp_label_mismatch(&l, &s), "another pool");
	l = sound_label();
	l.block_sectors = 16;
	says(cdp_label_mismatch(&l, &s), "disagree");
	l = sound_label();
	l.data_start += 2048;
	says(cdp_label_mismatch(&l, &s), "disagree");
	l = sound_label();
	l.journal_blocks++;
	says(cdp_label_mismatch(&l, &s), "disagree");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_superblock_comes_back_as_it_went),
		cmocka_unit_test(a_label_comes_back_as_it_went),
		cmocka_unit_test(the_bytes_stand_where_the_document_says),
		cmocka_unit_test(the_checksum_is_crc32c_as_documented),
		cmocka_unit_test(data_start_at_a_mib),
		cmocka_unit_test(no_bit_may_flip),
		cmocka_unit_test(what_is_behind_the_sector_does_not_count),
		cmocka_unit_test(each_field_of_a_superblock_has_its_bounds),
		cmocka_unit_test(each_field_of_a_label_has_its_bounds),
		cmocka_unit_test(a_journal_has_16_to_2_to_the_20_blocks),
		cmocka_unit_test(only_incompatible_features_keep_a_pool_shut),
		cmocka_unit_test(devices_belong_together_or_not),
	};

	random_start();
	return cmocka_run_group_tests_name("super", tests, NULL, NULL);
}
