// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "record.h"

#include <linux/crc32c.h>
#include <linux/errno.h>
#include <asm/byteorder.h>

#define AT(member) offsetof(struct cdp_journal_disk, member)
#define WRITE(member) offsetof(struct cdp_write_record_disk, member)
#define CREATE(member) offsetof(struct cdp_create_record_disk, member)
#define DELETE(member) offsetof(struct cdp_delete_record_disk, member)
#define REVERT(member) offsetof(struct cdp_revert_record_disk, member)
#define MARK(member) offsetof(struct cdp_mark_record_disk, member)
#define UNMARK(member) offsetof(struct cdp_unmark_record_disk, member)

enum { RECORDS = sizeof(struct cdp_journal_disk), SEQ = 9 };

static const u64 NOW = 1795269790000000;
static const u8 uuid[16] = "the pool's uuid";
static u8 block[CDP_UNIT_SIZE] __attribute__((aligned(8)));
static struct cdp_journal_header header;

static void init(void)
{
	const struct cdp_journal_header h = { .seq = SEQ, .commit_seq = 8, .durable_seq = 7 };

	memset(block, 0xee, sizeof(block));
	cdp_journal_init(block, uuid, &h);
}

static bool append(const struct cdp_record *r)
{
	u8 buf[CDP_RECORD_MAX] __attribute__((aligned(8)));
	const struct cdp_version v = {
		.hi = r->hi, .time = r->time, .pblock = r->pblock, .flags = r->flags,
	};
	unsigned int len = sizeof(struct cdp_write_record_disk);
	void *room;

	if (r->type != CDP_REC_WRITE)
		len = cdp_record_pack(buf, r);
	assert_int_equal(len % 8, 0);
	room = cdp_journal_append(block, len);
	if (!room)
		return false;
	if (r->type == CDP_REC_WRITE)
		cdp_write_record_pack(room, &v, r->csum);
	else
		memcpy(room, buf, len);
	return true;
}

static const char *open_block(void)
{
	return cdp_journal_open(&header, block, uuid, SEQ);
}

static void put(unsigned int at, unsigned int len, u64 value)
{
	__le64 v = cpu_to_le64(value);

	memcpy(block + at, &v, len);
}

static void says(const char *why, const char *reason)
{
	if (!why || !strstr(why, reason))
		fail_msg("'%s' instead of '%s'", why ?: "sound", reason);
}

/*
 * Records
 */
static void random_name(char name[CDP_NAME_SIZE])
{
	static const char chars[] = "0aZ9zA._+:-";
	unsigned int i, len = 1 + random_below(CDP_NAME_SIZE - 1);

	memset(name, 0, CDP_NAME_SIZE);
	for (i = 0; i < len; i++)
		name[i] = chars[random_below(i ? sizeof(chars) - 1 : 6)];
}

static void random_write(struct cdp_record *r)
{
	unsigned int level = random_below(CDP_NR_LEVELS);
	u64 lba = random_below(1ULL << CDP_LBA_BITS);

	if (level > CDP_MAX_WRITE_LEVEL || !random_below(4)) {
		r->flags = CDP_TOMBSTONE;
	} else {
		r->flags = random_below(2) ? CDP_CHECKED : 0;
		r->pblock = random_below(1ULL << CDP_PBLOCK_BITS);
	}
	r->csum = random_u64();
	r->volume = random_below(1 << CDP_VOLUME_BITS);
	r->hi = cdp_hi(r->volume, level, cdp_level_base(level, lba));
}

static struct cdp_record random_record(u8 type)
{
	struct cdp_record r = { .type = type, .time = 1 + random_below((1ULL << 62) - 1) };
	unsigned int i;

	switch (type) {
	case CDP_REC_WRITE:
		random_write(&r);
		break;
	case CDP_REC_CREATE:
		r.nr_sectors = 1 + random_below(~0ULL);
		r.volume = random_u64();
		random_name(r.name);
		break;
	case CDP_REC_REVERT:
		r.revert_to = random_below(r.time);
		r.volume = random_u64();
		break;
	case CDP_REC_DELETE:
		r.volume = random_u64();
		break;
	case CDP_REC_MARK:
		random_name(r.name);
		r.nr_volumes = random_below(CDP_MARK_VOLUMES + 1);
		for (i = 0; i < r.nr_volumes; i++)
			r.volumes[i] = random_u64();
		break;
	}
	return r;
}

static void assert_same(const struct cdp_record *a, const struct cdp_record *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->csum, b->csum);
	assert_int_equal(a->volume, b->volume);
	assert_int_equal(a->time, b->time);
	assert_int_equal(a->hi, b->hi);
	assert_int_equal(a->pblock, b->pblock);
	assert_int_equal(a->nr_sectors, b->nr_sectors);
	assert_int_equal(a->revert_to, b->revert_to);
	assert_memory_equal(a->name, b->name, sizeof(a->name));
	assert_int_equal(a->nr_volumes, b->nr_volumes);
	assert_memory_equal(a->volumes, b->volumes, sizeof(a->volumes));
}

static void records_come_back_as_they_went_in_order(void **state)
{
	static struct cdp_record records[300];
	struct cdp_record again;
	unsigned int round, i, nr, offset;

	for (round = 0; round < 500; round++) {
		init();
		for (nr = 0; nr < ARRAY_SIZE(records); nr++) {
			records[nr] = random_record(1 + random_below(6));
			if (!append(&records[nr]))
				break;
		}
		assert_true(nr >= CDP_JOURNAL_ROOM / CDP_RECORD_MAX);
		cdp_journal_seal(block);
		assert_null(open_block());
		assert_int_equal(header.seq, SEQ);
		assert_int_equal(header.commit_seq, 8);
		assert_int_equal(header.durable_seq, 7);
		for (i = 0, offset = 0; i < nr; i++) {
			assert_int_equal(cdp_record_next(&again, block, &header, &offset), 1);
			assert_same(&records[i], &again);
		}
		assert_int_equal(offset, header.used);
		assert_int_equal(cdp_record_next(&again, block, &header, &offset), 0);
		for (i = RECORDS + offset; i < sizeof(block); i++)
			assert_int_equal(block[i], 0);
	}
}

static void a_block_holds_126_writes(void **state)
{
	struct cdp_record r = random_record(CDP_REC_WRITE);
	unsigned int nr = 0;

	init();
	while (append(&r))
		nr++;
	assert_int_equal(nr, CDP_WRITES_PER_BLOCK);
	assert_int_equal(nr, 126);
	assert_null(cdp_journal_append(block, 8));
}

static void an_empty_block_has_no_record(void **state)
{
	struct cdp_record r;
	unsigned int offset = 0;

	init();
	cdp_journal_seal(block);
	assert_null(open_block());
	assert_int_equal(header.used, 0);
	assert_int_equal(cdp_record_next(&r, block, &header, &offset), 0);
}

static void lengths_are_those_of_the_document(void **state)
{
	static const unsigned int lengths[] = { [CDP_REC_CREATE] = 88, [CDP_REC_DELETE] = 16,
						[CDP_REC_REVERT] = 24, [CDP_REC_UNMARK] = 16 };
	u8 buf[CDP_RECORD_MAX] __attribute__((aligned(8)));
	struct cdp_record r = { 0 };

	assert_int_equal(sizeof(struct cdp_write_record_disk), 32);
	for (r.type = CDP_REC_CREATE; r.type <= CDP_REC_UNMARK; r.type++)
		if (r.type != CDP_REC_MARK)
			assert_int_equal(cdp_record_pack(buf, &r), lengths[r.type]);
	r.type = CDP_REC_MARK;
	for (r.nr_volumes = 0; r.nr_volumes <= CDP_MARK_VOLUMES; r.nr_volumes++)
		assert_int_equal(cdp_record_pack(buf, &r), 80 + (r.nr_volumes + 1) / 2 * 8);
	assert_int_equal(CDP_RECORD_MAX, 80 + CDP_MARK_VOLUMES * 4);
}

static void what_is_reserved_is_written_as_zero(void **state)
{
	struct cdp_record r = { .type = CDP_REC_MARK, .nr_volumes = 1, .volumes = { ~0U } };
	u8 buf[CDP_RECORD_MAX] __attribute__((aligned(8)));
	static const u8 zeroes[64];

	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(cdp_record_pack(buf, &r), 88);
	assert_memory_equal(buf + 84, zeroes, 4);
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(cdp_record_pack(buf, &(struct cdp_record){ .type = CDP_REC_UNMARK }), 16);
	assert_memory_equal(buf + 4, zeroes, 4);
	init();
	cdp_journal_seal(block);
	assert_memory_equal(block + AT(reserved), zeroes, 6);
}

/*
 * Blocks
 */
static void no_bit_of_a_block_may_flip(void **state)
{
	struct cdp_record r = random_record(CDP_REC_MARK);
	unsigned int bit;

	init();
	append(&r);
	cdp_journal_seal(block);
	for (bit = 0; bit < sizeof(block) * 8; bit++) {
		block[bit / 8] ^= 1 << bit % 8;
		assert_non_null(open_block());
		block[bit / 8] ^= 1 << bit % 8;
	}
	assert_null(open_block());
}

static void a_torn_block_is_refused(void **state)
{
	u8 old[CDP_UNIT_SIZE], new[CDP_UNIT_SIZE];
	struct cdp_record r;
	unsigned int sector;

	init();
	while (r = random_record(CDP_REC_WRITE), append(&r))
		;
	cdp_journal_seal(block);
	memcpy(old, block, sizeof(old));
	init();
	while (r = random_record(CDP_REC_WRITE), append(&r))
		;
	cdp_journal_seal(block);
	memcpy(new, block, sizeof(new));
	for (sector = 1; sector < 8; sector++) {
		memcpy(block, new, sector * 512);
		memcpy(block + sector * 512, old + sector * 512, sizeof(block) - sector * 512);
		says(open_block(), "checksum");
		memcpy(block, old, sector * 512);
		memcpy(block + sector * 512, new + sector * 512, sizeof(block) - sector * 512);
		says(open_block(), "checksum");
	}
}

static void a_block_is_of_one_pool_and_one_place(void **state)
{
	struct cdp_journal_header h;

	init();
	cdp_journal_seal(block);
	assert_null(open_block());
	says(cdp_journal_open(&h, block, (const u8 *)"another pool's..", SEQ), "another pool");
	says(cdp_journal_open(&h, block, uuid, SEQ + 1), "sequence");
	says(cdp_journal_open(&h, block, uuid, SEQ - 1), "sequence");
	memset(block, 0, sizeof(block));
	says(open_block(), "not a journal block");
}

static void each_field_of_a_header_has_its_bounds(void **state)
{
	static const struct {
		unsigned int at, len;
		u64 value;
		const char *reason;	/* NULL: sound */
	} f[] = {
		{ AT(magic), 8, CDP_NODE_MAGIC, "not a journal block" },
		{ AT(version), 4, 0, "version" },
		{ AT(version), 4, 2, "version" },
		{ AT(commit_seq), 8, SEQ, NULL },
		{ AT(commit_seq), 8, SEQ + 1, "range" },
		{ AT(commit_seq), 8, ~0ULL, "range" },
		{ AT(commit_seq), 8, 7, "range" },
		{ AT(commit_seq), 8, 0, "range" },
		{ AT(durable_seq), 8, 0, NULL },
		{ AT(durable_seq), 8, 8, "range" },
		{ AT(durable_seq), 8, ~0ULL, "range" },
		{ AT(used), 2, 4032, NULL },
		{ AT(used), 2, 4033, "range" },
		{ AT(used), 2, 0xffff, "range" },
		{ AT(reserved), 6, ~0ULL, NULL },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(f); i++) {
		init();
		put(f[i].at, f[i].len, f[i].value);
		cdp_journal_seal(block);
		if (f[i].reason)
			says(open_block(), f[i].reason);
		else
			assert_null(open_block());
	}
}

static void the_checksum_is_that_of_the_document(void **state)
{
	__le32 csum;

	init();
	cdp_journal_seal(block);
	memcpy(&csum, block, sizeof(csum));
	assert_int_equal(le32_to_cpu(csum), crc32c(~0, block + 4, 4092));
	assert_int_equal(crc32c(~0, "123456789", 9), 0x1cf96d7c);
}

/*
 * Damage that the checksum does not show: a value written so.
 */
static struct cdp_record sound_record(u8 type)
{
	struct cdp_record r = { .type = type, .time = NOW, .volume = 5 };

	if (type == CDP_REC_WRITE)
		r.hi = cdp_hi(5, 1, 64);
	r.nr_sectors = 2048;
	r.revert_to = NOW - 1;
	r.nr_volumes = 2;
	r.volumes[0] = 5;
	r.volumes[1] = 6;
	strcpy(r.name, "a-name");
	return r;
}

/* The first of two records with len bytes of it changed: what its reader says. */
static int judge(u8 type, unsigned int at, unsigned int len, u64 value)
{
	const struct cdp_record sound = sound_record(type);
	unsigned int offset = 0;
	struct cdp_record r;
	int result;

	init();
	append(&sound);
	append(&sound);
	put(RECORDS + at, len, value);
	cdp_journal_seal(block);
	assert_null(open_block());
	result = cdp_record_next(&r, block, &header, &offset);
	assert_int_equal(offset, result == 1 ? header.used / 2 : 0);
	return result;
}

static void a_record_has_a_known_type_and_the_length_of_it(void **state)
{
	unsigned int type, len, own;

	for (type = CDP_REC_WRITE; type <= CDP_REC_UNMARK; type++) {
		assert_int_equal(judge(type, 0, 0, 0), 1);
		own = header.used / 2;
		for (len = 0; len <= 0xffff; len += len < 500 || len > 0xff00 ? 1 : 97) {
			if (len != own)
				assert_int_equal(judge(type, 2, 2, len), -EINVAL);
		}
		assert_int_equal(judge(type, 0, 1, 0), -EINVAL);
		assert_int_equal(judge(type, 0, 1, 7), -EINVAL);
		assert_int_equal(judge(type, 0, 1, 0xff), -EINVAL);
	}
}

static void a_record_ends_inside_what_is_used(void **state)
{
	const struct cdp_record sound = sound_record(CDP_REC_CREATE);
	struct cdp_record r;
	unsigned int used, offset;

	init();
	append(&sound);
	for (used = 1; used < sizeof(struct cdp_create_record_disk); used++) {
		put(AT(used), 2, used);
		cdp_journal_seal(block);
		assert_null(open_block());
		offset = 0;
		assert_int_equal(cdp_record_next(&r, block, &header, &offset), -EINVAL);
	}
	put(AT(used), 2, used + 4);	/* less than a header's worth of the next one */
	cdp_journal_seal(block);
	assert_null(open_block());
	offset = 0;
	assert_int_equal(cdp_record_next(&r, block, &header, &offset), 1);
	assert_int_equal(cdp_record_next(&r, block, &header, &offset), -EINVAL);
}

static void times_are_1_to_2_to_the_62(void **state)
{
	static const unsigned int at[] = {
		[CDP_REC_WRITE] = WRITE(time), [CDP_REC_CREATE] = CREATE(time),
		[CDP_REC_DELETE] = DELETE(time), [CDP_REC_REVERT] = REVERT(time),
		[CDP_REC_MARK] = MARK(time), [CDP_REC_UNMARK] = UNMARK(time),
	};
	unsigned int type;

	for (type = CDP_REC_WRITE; type <= CDP_REC_UNMARK; type++) {
		assert_int_equal(judge(type, at[type], 8, 0), -EINVAL);
		assert_int_equal(judge(type, at[type], 8, 1), type == CDP_REC_REVERT ? -EINVAL : 1);
		assert_int_equal(judge(type, at[type], 8, (1ULL << 62) - 1), 1);
		assert_int_equal(judge(type, at[type], 8, 1ULL << 62), -EINVAL);
		assert_int_equal(judge(type, at[type], 8, ~0ULL), -EINVAL);
	}
}

static int judge_write(u8 flags, unsigned int level, u64 lba, u64 pblock)
{
	struct cdp_record r = { .type = CDP_REC_WRITE, .time = NOW, .flags = flags,
				.hi = cdp_hi(5, level, lba), .pblock = pblock }, again;
	unsigned int offset = 0;

	init();
	append(&r);
	cdp_journal_seal(block);
	assert_null(open_block());
	return cdp_record_next(&again, block, &header, &offset);
}

static void a_write_is_one_that_can_be(void **state)
{
	unsigned int flags, level;

	for (flags = 0; flags < 256; flags++) {
		assert_int_equal(judge_write(flags, 0, 0, 0), flags <= 2 ? 1 : -EINVAL);
		assert_int_equal(judge_write(flags, 0, 0, 1),
				 flags == 0 || flags == CDP_CHECKED ? 1 : -EINVAL);
	}
	for (level = 0; level < CDP_NR_LEVELS; level++) {
		u64 blocks = cdp_level_blocks(level);

		assert_int_equal(judge_write(0, level, blocks, 0),
				 level <= CDP_MAX_WRITE_LEVEL ? 1 : -EINVAL);
		assert_int_equal(judge_write(CDP_TOMBSTONE, level, blocks, 0), 1);
		if (!level)
			continue;
		assert_int_equal(judge_write(CDP_TOMBSTONE, level, blocks + 1, 0), -EINVAL);
		assert_int_equal(judge_write(CDP_TOMBSTONE, level, blocks / 2, 0), -EINVAL);
		assert_int_equal(judge_write(0, level, blocks - 1, 0), -EINVAL);
	}
	assert_int_equal(judge_write(0, 0, 0, (1ULL << CDP_PBLOCK_BITS) - 1), 1);
	assert_int_equal(judge_write(0, 0, 0, 1ULL << CDP_PBLOCK_BITS), -EINVAL);
	assert_int_equal(judge_write(0, 0, 0, ~0ULL), -EINVAL);
}

static void a_volume_has_a_size(void **state)
{
	assert_int_equal(judge(CDP_REC_CREATE, CREATE(nr_sectors), 8, 0), -EINVAL);
	assert_int_equal(judge(CDP_REC_CREATE, CREATE(nr_sectors), 8, 1), 1);
}

static void a_revert_goes_back(void **state)
{
	assert_int_equal(judge(CDP_REC_REVERT, REVERT(revert_to), 8, NOW - 1), 1);
	assert_int_equal(judge(CDP_REC_REVERT, REVERT(revert_to), 8, NOW), -EINVAL);
	assert_int_equal(judge(CDP_REC_REVERT, REVERT(revert_to), 8, NOW + 1), -EINVAL);
	assert_int_equal(judge(CDP_REC_REVERT, REVERT(revert_to), 8, ~0ULL), -EINVAL);
}

static void a_mark_has_as_many_volumes_as_it_is_long(void **state)
{
	unsigned int nr;

	for (nr = 0; nr < 200; nr++)	/* one or two: there is a 0 behind one */
		assert_int_equal(judge(CDP_REC_MARK, MARK(nr_volumes), 4, nr),
				 nr == 1 || nr == 2 ? 1 : -EINVAL);
	assert_int_equal(judge(CDP_REC_MARK, MARK(nr_volumes), 4, ~0U), -EINVAL);
	assert_int_equal(judge(CDP_REC_MARK, MARK(nr_volumes), 4, 1U << 31), -EINVAL);
}

static void names_in_records_are_names(void **state)
{
	static const struct { u8 type; unsigned int at; } f[] = {
		{ CDP_REC_CREATE, CREATE(name) }, { CDP_REC_MARK, MARK(name) },
	};
	unsigned int i, offset;
	struct cdp_record r;

	for (i = 0; i < ARRAY_SIZE(f); i++) {
		assert_int_equal(judge(f[i].type, f[i].at, 1, 0), -EINVAL);
		assert_int_equal(judge(f[i].type, f[i].at, 1, '-'), -EINVAL);
		assert_int_equal(judge(f[i].type, f[i].at + 3, 1, '/'), -EINVAL);
		assert_int_equal(judge(f[i].type, f[i].at + 3, 1, 0x80), -EINVAL);
		assert_int_equal(judge(f[i].type, f[i].at + 3, 1, 0), 1);
		assert_int_equal(judge(f[i].type, f[i].at + 63, 1, 'x'), 1);
		/* No NUL to the end. */
		memset(block + RECORDS + f[i].at, 'x', CDP_NAME_SIZE);
		cdp_journal_seal(block);
		assert_null(open_block());
		offset = 0;
		assert_int_equal(cdp_record_next(&r, block, &header, &offset), -EINVAL);
	}
}

static void a_name_is_letters_digits_and_a_few_signs(void **state)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	char name[CDP_NAME_SIZE] = { 0 };
	unsigned int c;

	for (c = 1; c < 256; c++) {
		name[0] = c;
		assert_int_equal(cdp_name_valid(name), !!strchr(first, c));
		name[0] = 'a';
		name[1] = c;
		assert_int_equal(cdp_name_valid(name), !!strchr(first, c) || !!strchr("._+:-", c));
		name[1] = '\0';
	}
	assert_false(cdp_name_valid(""));
	memset(name, 'a', sizeof(name));
	assert_false(cdp_name_valid(name));
	name[63] = '\0';
	assert_true(cdp_name_valid(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_as_they_went_in_order),
		cmocka_unit_test(a_block_holds_126_writes),
		cmocka_unit_test(an_empty_block_has_no_record),
		cmocka_unit_test(lengths_are_those_of_the_document),
		cmocka_unit_test(what_is_reserved_is_written_as_zero),
		cmocka_unit_test(no_bit_of_a_block_may_flip),
		cmocka_unit_test(a_torn_block_is_refused),
		cmocka_unit_test(a_block_is_of_one_pool_and_one_place),
		cmocka_unit_test(each_field_of_a_header_has_its_bounds),
		cmocka_unit_test(the_checksum_is_that_of_the_document),
		cmocka_unit_test(a_record_has_a_known_type_and_the_length_of_it),
		cmocka_unit_test(a_record_ends_inside_what_is_used),
		cmocka_unit_test(times_are_1_to_2_to_the_62),
		cmocka_unit_test(a_write_is_one_that_can_be),
		cmocka_unit_test(a_volume_has_a_size),
		cmocka_unit_test(a_revert_goes_back),
		cmocka_unit_test(a_mark_has_as_many_volumes_as_it_is_long),
		cmocka_unit_test(names_in_records_are_names),
		cmocka_unit_test(a_name_is_letters_digits_and_a_few_signs),
	};

	random_start();
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
