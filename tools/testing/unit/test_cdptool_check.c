// SPDX-License-Identifier: GPL-2.0-only
/*
 * cdp-tool check on images: sound ones pass, and of damaged ones none does.
 */
#include "test.h"
#undef fail		/* cdp-tool has one too */
#include "pool_image.h"
#include "tool.h"
#include "verbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/crc32c.h>

/* Runs check, its output to a file; the exit code. */
static int check_output(struct pool_image *p, bool with_data, FILE *out)
{
	char *argv[4] = { "check", p->metadata_path, p->data_path, NULL };
	int saved = dup(1), r;

	pool_image_write(p);
	fflush(stdout);
	dup2(fileno(out), 1);
	r = check_main(with_data ? 3 : 2, argv);
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	return r;
}

static int check(struct pool_image *p, bool with_data)
{
	FILE *out = tmpfile();
	int r;

	assert_non_null(out);
	r = check_output(p, with_data, out);
	fclose(out);
	return r;
}

/* Check fails, with these words in one of its lines. */
static void assert_finds(struct pool_image *p, const char *words)
{
	static char text[65536];
	FILE *out = tmpfile();
	size_t len;

	assert_non_null(out);
	assert_int_equal(check_output(p, true, out), EXIT_FAILED);
	rewind(out);
	len = fread(text, 1, sizeof(text) - 1, out);
	text[len] = '\0';
	fclose(out);
	if (!strstr(text, words))
		print_error("no '%s' in:\n%s", words, text);
	assert_non_null(strstr(text, words));
	pool_image_free(p);
}

static void a_sound_pool_passes(void **state)
{
	struct pool_image *p = pool_image_new();

	assert_int_equal(check(p, true), EXIT_OK);
	assert_int_equal(check(p, false), EXIT_OK);
	pool_image_free(p);
}

static void a_flipped_bit_of_metadata_is_found(void **state)
{
	struct pool_image *p = pool_image_new();
	int round;

	for (round = 0; round < 400; round++) {
		int block = round % POOL_USED;
		int at = random_below(block == POOL_SUPER ? 512 : CDP_UNIT_SIZE);
		int bit = 1 << random_below(8);

		p->metadata[block][at] ^= bit;
		assert_int_equal(check(p, true), EXIT_FAILED);
		p->metadata[block][at] ^= bit;
	}
	assert_int_equal(check(p, true), EXIT_OK);
	pool_image_free(p);
}

/* Whatever stands in the blocks, checksums right: check ends, in order, and says no. */
static void nonsense_with_right_checksums_is_survived(void **state)
{
	int round, n;

	for (round = 0; round < 300; round++) {
		struct pool_image *p = pool_image_new();
		int block = random_below(POOL_USED);

		for (n = 1 + random_below(8); n; n--)
			p->metadata[block][4 + random_below(block == POOL_SUPER ? 508 : 200)] =
				random_below(256);
		pool_image_seal(p, block);
		check(p, true);
		pool_image_free(p);
	}
}

static void a_torn_end_of_the_journal_is_sound(void **state)
{
	struct pool_image *p = pool_image_new();

	p->data[1 + POOL_JOURNAL_SEQ + 1][100] ^= 1;
	assert_int_equal(check(p, true), EXIT_OK);
	pool_image_free(p);
}

static void a_hole_in_the_durable_journal_is_found(void **state)
{
	struct pool_image *p = pool_image_new();

	p->data[1 + POOL_JOURNAL_SEQ][100] ^= 1;
	assert_finds(p, "block 7 is lost");
}

/* Blocks of data are zero here; the version would collide with another if it counted. */
static void the_last_round_counts_only_with_its_data(void **state)
{
	static const u8 zeroes[CDP_UNIT_SIZE];
	struct pool_image *p = pool_image_new();

	p->last = (struct cdp_version){ .hi = cdp_hi(1, 0, 5), .time = 9400, .pblock = 1,
					.flags = CDP_CHECKED };
	p->last_csum = crc32c(~0, zeroes, sizeof(zeroes)) ^ 1;
	pool_image_build(p);
	assert_int_equal(check(p, true), EXIT_OK);
	p->last_csum ^= 1;
	pool_image_build(p);
	assert_finds(p, "belong to another version");
}

static void a_label_of_another_pool_is_found(void **state)
{
	struct pool_image *p = pool_image_new();

	p->label.uuid[3] ^= 1;
	pool_image_build(p);
	assert_finds(p, "another pool");
}

static void blocks_of_two_versions_are_found(void **state)
{
	struct pool_image *p = pool_image_new();

	p->versions[3].pblock = 61;
	pool_image_build(p);
	assert_finds(p, "belong to another version");
	p = pool_image_new();
	p->journaled[1].pblock = 1;
	pool_image_build(p);
	assert_finds(p, "belong to another version");
}

static void versions_and_the_space_map_have_to_agree(void **state)
{
	struct pool_image *p = pool_image_new();

	p->words[0] &= cpu_to_le64(~4ULL);
	pool_image_build(p);
	assert_finds(p, "marked free");
	p = pool_image_new();
	p->words[2] = cpu_to_le64(1);
	pool_image_build(p);
	assert_finds(p, "no version of the index has them");
}

static void versions_out_of_place_are_found(void **state)
{
	struct pool_image *p = pool_image_new();

	p->versions[4].hi = cdp_hi(1, 0, 1000);
	pool_image_build(p);
	assert_finds(p, "beyond the end of the volume");
	p = pool_image_new();
	p->versions[5].hi = cdp_hi(2, 0, 1);
	pool_image_build(p);
	assert_finds(p, "of a volume that there is not");
	p = pool_image_new();
	p->versions[4].time = 9001;
	pool_image_build(p);
	assert_finds(p, "after the pool's time");
	p = pool_image_new();
	p->volume.newest[1] = cpu_to_le64(6999);
	pool_image_build(p);
	assert_finds(p, "newest time of level 1");
}

static void counters_are_compared(void **state)
{
	struct pool_image *p = pool_image_new();

	p->super.tree_entries++;
	pool_image_build(p);
	assert_finds(p, "counts 7 versions");
	p = pool_image_new();
	p->super.nr_marks = 5;
	pool_image_build(p);
	assert_finds(p, "counts 5 marks");
	p = pool_image_new();
	p->super.used_data_blocks = 3;
	pool_image_build(p);
	assert_finds(p, "counts 3 data blocks");
}

static void branches_have_to_make_sense(void **state)
{
	struct pool_image *p = pool_image_new();

	p->branches[1].revert_to = cpu_to_le64(5000);
	pool_image_build(p);
	assert_finds(p, "instant that is not before it");
	p = pool_image_new();
	p->branches[1].start = cpu_to_le64(900);
	pool_image_build(p);
	assert_finds(p, "does not begin after");
	p = pool_image_new();
	p->volume.nr_branches = cpu_to_le32(3);
	pool_image_build(p);
	assert_finds(p, "has 2 of 3");
}

static void records_have_to_fit_the_pool(void **state)
{
	struct pool_image *p = pool_image_new();

	strcpy(p->mark.name, "one");
	pool_image_build(p);
	assert_finds(p, "name is taken");
	p = pool_image_new();
	p->revert.volume = 5;
	pool_image_build(p);
	assert_finds(p, "no such volume");
	p = pool_image_new();
	p->journaled[0].pblock = 100;
	pool_image_build(p);
	assert_finds(p, "the journal has other data");
}

static void what_is_no_pool_is_refused(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[4] = { "check", "/nonexistent", NULL };

	memset(p->metadata, 0, sizeof(p->metadata));
	assert_int_equal(check(p, true), EXIT_FAILED);
	assert_int_equal(check_main(2, argv), EXIT_NOT_FOUND);
	pool_image_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_pool_passes),
		cmocka_unit_test(a_flipped_bit_of_metadata_is_found),
		cmocka_unit_test(nonsense_with_right_checksums_is_survived),
		cmocka_unit_test(a_torn_end_of_the_journal_is_sound),
		cmocka_unit_test(a_hole_in_the_durable_journal_is_found),
		cmocka_unit_test(the_last_round_counts_only_with_its_data),
		cmocka_unit_test(a_label_of_another_pool_is_found),
		cmocka_unit_test(blocks_of_two_versions_are_found),
		cmocka_unit_test(versions_and_the_space_map_have_to_agree),
		cmocka_unit_test(versions_out_of_place_are_found),
		cmocka_unit_test(counters_are_compared),
		cmocka_unit_test(branches_have_to_make_sense),
		cmocka_unit_test(records_have_to_fit_the_pool),
		cmocka_unit_test(what_is_no_pool_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
