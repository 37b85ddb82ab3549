// SPDX-License-Identifier: GPL-2.0-only
/*
 * cdp-tool check and dump on images: sound ones pass, and of damaged ones none does.
 */
#include "test.h"
#undef fail		/* cdp-tool has one too */
#include "pool_image.h"
#include "tool.h"
#include "verbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/crc32c.h>

enum { TEXT_SIZE = 1 << 20 };

/* Runs a verb, its output to text; the exit code. */
static int run_verb(int (*verb)(int argc, char **argv), int argc, char **argv, char text[TEXT_SIZE])
{
	FILE *out = tmpfile();
	int saved = dup(1), r;
	char *words[8];		/* the verb moves them */
	size_t len;

	assert_non_null(out);
	memcpy(words, argv, argc * sizeof(*argv));
	words[argc] = NULL;
	fflush(stdout);
	dup2(fileno(out), 1);
	r = verb(argc, words);
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	rewind(out);
	len = fread(text, 1, TEXT_SIZE - 1, out);
	text[len] = '\0';
	fclose(out);
	return r;
}

static char text[TEXT_SIZE];

static int check(struct pool_image *p, bool with_data)
{
	char *argv[4] = { "check", p->metadata_path, p->data_path, NULL };

	pool_image_write(p);
	return run_verb(check_main, with_data ? 3 : 2, argv, text);
}

static void assert_says(const char *words)
{
	if (!strstr(text, words))
		print_error("no '%s' in:\n%s", words, text);
	assert_non_null(strstr(text, words));
}

/* Check fails, with these words in one of its lines. */
static void assert_finds(struct pool_image *p, const char *words)
{
	assert_int_equal(check(p, true), EXIT_FAILED);
	assert_says(words);
	pool_image_free(p);
}

/* The output is one JSON object, and nothing else. */
static json_object *parse_output(void)
{
	struct json_tokener *tokener = json_tokener_new();
	json_object *object = json_tokener_parse_ex(tokener, text, strlen(text));

	if (!object)
		print_error("no JSON:\n%s", text);
	assert_non_null(object);
	assert_int_equal(strspn(text + json_tokener_get_parse_end(tokener), "\n"),
			 strlen(text) - json_tokener_get_parse_end(tokener));
	json_tokener_free(tokener);
	return object;
}

static json_object *get(json_object *object, const char *key)
{
	json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		print_error("no key '%s' in:\n%s", key, text);
	assert_true(json_object_object_get_ex(object, key, &value));
	return value;
}

static size_t length(json_object *object, const char *key)
{
	return json_object_array_length(get(object, key));
}

/* Of a verb that is called with --json. */
static json_object *json_of(int (*verb)(int argc, char **argv), int argc, char **argv, int code)
{
	int r;

	tool.json = true;
	r = run_verb(verb, argc, argv, text);
	tool.json = false;
	assert_int_equal(r, code);
	return parse_output();
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
	p = pool_image_new();
	p->super.used_data_blocks = 13;
	pool_image_build(p);
	assert_finds(p, "counts 13 data blocks in use, the space map has 12");
}

/* What is asked for must not depend on what a superblock says. */
static void more_data_blocks_than_can_be_mapped_are_found(void **state)
{
	struct pool_image *p = pool_image_new();

	p->super.nr_data_blocks = (1ULL << CDP_PBLOCK_BITS) - 1;
	pool_image_build(p);
	assert_finds(p, "superblock: counts 1099511627775 data blocks");
}

static void an_inner_root_with_one_child_is_found(void **state)
{
	struct pool_image *p = pool_image_new();

	cdp_inner_remove(p->metadata[POOL_ROOT], 1);
	pool_image_seal(p, POOL_ROOT);
	assert_finds(p, "inner root with one child");
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

/* A pool image whose journal ends with the creation of that volume. */
static struct pool_image *created(u32 next, u32 volume)
{
	struct pool_image *p = pool_image_new();

	p->super.next_volume = next;
	p->revert = (struct cdp_record){ .type = CDP_REC_CREATE, .volume = volume, .time = 9300,
					 .nr_sectors = 8000, .name = "new" };
	pool_image_build(p);
	return p;
}

static void a_new_volume_has_the_next_number(void **state)
{
	const u32 last = (1 << CDP_VOLUME_BITS) - 2;
	struct pool_image *p = created(2, 2);

	assert_int_equal(check(p, true), EXIT_OK);
	assert_says("sound: 2 volumes");
	pool_image_free(p);
	assert_finds(created(2, 1), "number is not the next one");
	assert_finds(created(2, 3), "number is not the next one");
	p = created(last, last);
	assert_int_equal(check(p, true), EXIT_OK);
	pool_image_free(p);
	assert_finds(created(last + 1, last + 1), "there are no numbers left");
}

static void unknown_compat_bits_do_not_matter(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[4] = { "dump", p->metadata_path, p->data_path, NULL };

	p->super.compat = 5;
	pool_image_build(p);
	assert_int_equal(check(p, true), EXIT_OK);
	assert_int_equal(run_verb(dump_main, 3, argv, text), EXIT_OK);
	assert_says("  compat               5\n");
	pool_image_free(p);
}

static void damage_of_the_superblock_is_a_finding(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[4] = { "check", p->metadata_path, p->data_path, NULL };
	json_object *object;

	p->metadata[POOL_SUPER][100] ^= 1;
	assert_int_equal(check(p, true), EXIT_FAILED);
	assert_says("damage: superblock: ");
	assert_says("checksum does not match");
	object = json_of(check_main, 3, argv, EXIT_FAILED);
	assert_int_equal(length(object, "findings"), 1);
	assert_false(json_object_get_boolean(get(object, "sound")));
	json_object_put(object);
	argv[0] = "dump";
	object = json_of(dump_main, 3, argv, EXIT_FAILED);
	assert_int_equal(length(object, "findings"), 1);
	json_object_put(object);
	pool_image_free(p);
}

static void what_is_no_pool_is_refused(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[4] = { "check", "/nonexistent", NULL };

	memset(p->metadata, 0, sizeof(p->metadata));
	assert_int_equal(check(p, true), EXIT_FAILED);
	assert_int_equal(run_verb(check_main, 2, argv, text), EXIT_NOT_FOUND);
	argv[1] = "/tmp";
	assert_int_equal(run_verb(check_main, 2, argv, text), EXIT_FAILED);
	argv[1] = "/dev/null";
	assert_int_equal(run_verb(check_main, 2, argv, text), EXIT_FAILED);
	assert_says("/dev/null is 0 bytes, not the metadata of a pool");
	pool_image_free(p);
}

/* Nobody writes to it: an open for reading would not return. */
static void a_fifo_is_refused(void **state)
{
	char path[] = "/tmp/cdp-fifo.XXXXXX", *argv[4] = { "check", path, NULL };
	struct pool_image *p = pool_image_new();

	assert_true(mkstemp(path) >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(run_verb(check_main, 2, argv, text), EXIT_FAILED);
	pool_image_write(p);
	argv[1] = p->metadata_path;
	argv[2] = path;
	assert_int_equal(run_verb(check_main, 3, argv, text), EXIT_FAILED);
	unlink(path);
	pool_image_free(p);
}

/* With an error at the end, the findings so far are there, in the one document. */
static void an_error_is_part_of_the_document(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[4] = { "check", p->metadata_path, "/nonexistent", NULL };
	json_object *object;

	p->super.nr_data_blocks = (1ULL << CDP_PBLOCK_BITS) - 1;
	pool_image_build(p);
	pool_image_write(p);
	object = json_of(check_main, 3, argv, EXIT_NOT_FOUND);
	assert_int_equal(length(object, "findings"), 1);
	assert_int_equal(json_object_get_int(get(object, "exit_code")), EXIT_NOT_FOUND);
	get(object, "error");
	json_object_put(object);
	pool_image_free(p);
}

static void dump_shows_what_the_image_holds(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[6] = { "dump", p->metadata_path, p->data_path, "--versions", "--records",
			  "--space" };

	pool_image_write(p);
	assert_int_equal(run_verb(dump_main, 6, argv, text), EXIT_OK);
	assert_says("  nr_data_blocks       200\n");
	assert_says("volume 1 vm sectors 8000 created 1000\n");
	assert_says("  branch 1 start 5000 revert_to 2000\n");
	assert_says("mark 4000 one 1\n");
	assert_says("mark 9200 late *\n");
	assert_says("record 7 write volume 1 time 9100 level 0 lba 12 block 3\n");
	assert_says("record 8 revert volume 1 time 9300 revert_to 4000\n");
	assert_says("version volume 1 level 0 lba 11 time 1200 tombstone\n");
	assert_says("used 60 8\n");
	assert_says("journal 7 to 9\n");
	pool_image_free(p);
}

static void dump_as_json_says_the_same(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[6] = { "dump", p->metadata_path, p->data_path, "--versions", "--records",
			  "--space" };
	json_object *object, *version;

	pool_image_write(p);
	object = json_of(dump_main, 6, argv, EXIT_OK);
	assert_int_equal(json_object_get_int(get(get(object, "superblock"), "time")), 9000);
	assert_int_equal(length(object, "volumes"), 1);
	assert_int_equal(length(object, "marks"), 3);
	assert_int_equal(length(object, "records"), 4);
	assert_int_equal(length(object, "versions"), POOL_VERSIONS);
	assert_int_equal(length(object, "used"), 3);
	assert_int_equal(length(object, "findings"), 0);
	version = json_object_array_get_idx(get(object, "versions"), 5);
	assert_int_equal(json_object_get_int(get(version, "block")), 60);
	json_object_put(object);
	argv[2] = NULL;
	object = json_of(dump_main, 2, argv, EXIT_OK);
	assert_false(json_object_object_get_ex(object, "records", NULL));
	json_object_put(object);
	pool_image_free(p);
}

static void dump_tells_damage(void **state)
{
	struct pool_image *p = pool_image_new();
	char *argv[4] = { "dump", p->metadata_path, "--versions", NULL };
	json_object *object;

	p->metadata[POOL_LEAF_1][200] ^= 1;
	pool_image_write(p);
	assert_int_equal(run_verb(dump_main, 3, argv, text), EXIT_FAILED);
	assert_says("damage: index: metadata block 11: checksum does not match");
	object = json_of(dump_main, 3, argv, EXIT_FAILED);
	assert_int_equal(length(object, "versions"), POOL_VERSIONS - 1);
	assert_int_equal(length(object, "findings"), 1);
	json_object_put(object);
	argv[2] = "--records";
	assert_int_equal(run_verb(dump_main, 3, argv, text), EXIT_USAGE);
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
		cmocka_unit_test(more_data_blocks_than_can_be_mapped_are_found),
		cmocka_unit_test(an_inner_root_with_one_child_is_found),
		cmocka_unit_test(branches_have_to_make_sense),
		cmocka_unit_test(records_have_to_fit_the_pool),
		cmocka_unit_test(a_new_volume_has_the_next_number),
		cmocka_unit_test(unknown_compat_bits_do_not_matter),
		cmocka_unit_test(damage_of_the_superblock_is_a_finding),
		cmocka_unit_test(what_is_no_pool_is_refused),
		cmocka_unit_test(a_fifo_is_refused),
		cmocka_unit_test(an_error_is_part_of_the_document),
		cmocka_unit_test(dump_shows_what_the_image_holds),
		cmocka_unit_test(dump_as_json_says_the_same),
		cmocka_unit_test(dump_tells_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
