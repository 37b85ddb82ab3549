// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes, names, answers to messages.
 */
#include "test.h"
#include "lineage.h"
#include "mountinfo.h"
#include "name.h"
#include "names.h"
#include "reply.h"
#include "size.h"

#include <errno.h>
#include <stdio.h>

static void sizes(void **state)
{
	static const struct { const char *text; u64 bytes; } cases[] = {
		{ "4096", 4096 }, { "4K", 4096 }, { "4k", 4096 }, { "4KiB", 4096 },
		{ "512M", 512ULL << 20 }, { "10G", 10ULL << 30 }, { "1TiB", 1ULL << 40 },
		{ "1.5G", 3ULL << 29 }, { "512MB", 512000000 }, { "8s", 4096 }, { "100B", 100 },
		{ "0", 0 }, { "7E", 7ULL << 60 },
	};
	size_t i;
	u64 bytes;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cdp_size_parse(&bytes, cases[i].text), 0);
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const wrong[] = {
		"", "K", "-1", "1 G", "1Q", "1Gi", "1.G", "1.5", "1.2345G", "1KK", "0x10",
	};
	size_t i;
	u64 bytes;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(cdp_size_parse(&bytes, wrong[i]), -EINVAL);
	assert_int_equal(cdp_size_parse(&bytes, "8E"), -ERANGE);
	assert_int_equal(cdp_size_parse(&bytes, "99999999999999999999"), -ERANGE);
	assert_int_equal(cdp_size_parse(&bytes, "9223372036854775807K"), -ERANGE);
}

static void sizes_for_people(void **state)
{
	char text[CDP_SIZE_TEXT];

	cdp_size_format(text, 512);
	assert_string_equal(text, "512 B");
	cdp_size_format(text, 10ULL << 30);
	assert_string_equal(text, "10 GiB");
	cdp_size_format(text, 3ULL << 29);
	assert_string_equal(text, "1.5 GiB");
	cdp_size_format(text, ~0ULL);
	assert_string_equal(text, "15.9 EiB");
}

static void paths(void **state)
{
	char name[CDP_DM_NAME_SIZE];
	struct cdp_path path;

	assert_int_equal(cdp_path_parse_volume(&path, "tank/vm-1"), 0);
	assert_string_equal(path.pool, "tank");
	assert_string_equal(path.volume, "vm-1");
	cdp_path_device(name, &path);
	assert_string_equal(name, "tank-vm-1");
	assert_int_equal(cdp_path_view(name, &path, "mark"), 0);
	assert_string_equal(name, "tank-vm-1@mark");
	assert_int_equal(cdp_path_parse(&path, "tank"), 0);
	assert_string_equal(path.volume, "");
	cdp_path_device(name, &path);
	assert_string_equal(name, "tank");
}

static void what_is_no_path_is_refused(void **state)
{
	static const char *const wrong[] = {
		"", "/", "tank/", "/vm", "tank", "a/b/c", "-a/b", "a/-b", "a b/c",
		"a0123456789012345678901234567890123456789012345678/b",
	};
	struct cdp_path path;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(cdp_path_parse_volume(&path, wrong[i]), -EINVAL);
	assert_int_equal(cdp_path_parse_pool(&path, "tank/vm"), -EINVAL);
}

static void the_longest_names_fit_a_uuid(void **state)
{
	char text[CDP_POOL_NAME_MAX + CDP_NAME_SIZE + 1], name[CDP_DM_NAME_SIZE];
	char uuid[CDP_DM_UUID_SIZE];
	struct cdp_path path;

	memset(text, 'a', sizeof(text));
	text[CDP_POOL_NAME_MAX] = '/';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(cdp_path_parse_volume(&path, text), 0);
	cdp_path_device(name, &path);
	assert_int_equal(strlen(name), CDP_POOL_NAME_MAX + CDP_NAME_SIZE);
	assert_int_equal(cdp_uuid_make(uuid, CDP_UUID_VOLUME, name), 0);
	assert_int_equal(cdp_path_view(name, &path, "1234567890123456"), -ENAMETOOLONG);
}

static void names_of_views_have_room_for_their_overlay(void **state)
{
	static const char *const wrong[] = { "", "-a", ".a", "a b", "a/b", "a@b", "a\\b", "\xc3\xa4" };
	char name[CDP_VIEW_NAME_MAX + 2], uuid[CDP_DM_UUID_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(cdp_view_name_check(wrong[i]), -EINVAL);
	assert_int_equal(cdp_view_name_check("a"), 0);
	assert_int_equal(cdp_view_name_check("7old.vm_+:-"), 0);
	memset(name, 'a', sizeof(name));
	name[CDP_VIEW_NAME_MAX + 1] = '\0';
	assert_int_equal(cdp_view_name_check(name), -EINVAL);
	name[CDP_VIEW_NAME_MAX] = '\0';
	assert_int_equal(cdp_view_name_check(name), 0);
	assert_int_equal(cdp_uuid_make(uuid, CDP_UUID_OVERLAY, name), 0);
	assert_true(strlen(uuid) <= 127);
}

static void answers_line_by_line(void **state)
{
	const char *text = "1 vm 2048 1000 1\n\n2 db 4096 2000 3\n";
	struct cdp_volume_line v;
	char *line;

	line = cdp_reply_line(&text);
	assert_int_equal(cdp_reply_volume(&v, line), 0);
	assert_string_equal(v.name, "vm");
	assert_int_equal(v.sectors, 2048);
	free(line);
	line = cdp_reply_line(&text);
	assert_int_equal(cdp_reply_volume(&v, line), 0);
	assert_int_equal(v.id, 2);
	assert_int_equal(v.branches, 3);
	free(line);
	assert_null(cdp_reply_line(&text));
}

static void marks_and_branches(void **state)
{
	struct cdp_volume_line vm = { .name = "vm", .created = 100 };
	struct cdp_branch_line b;
	struct cdp_mark_line m;

	assert_int_equal(cdp_reply_mark(&m, "200 before db,vm"), 0);
	assert_true(cdp_mark_has(&m, &vm));
	assert_int_equal(cdp_reply_mark(&m, "200 before db,vm2"), 0);
	assert_false(cdp_mark_has(&m, &vm));
	assert_int_equal(cdp_reply_mark(&m, "200 before *"), 0);
	assert_true(cdp_mark_has(&m, &vm));
	assert_int_equal(cdp_reply_mark(&m, "50 before *"), 0);
	assert_false(cdp_mark_has(&m, &vm));
	assert_int_equal(cdp_reply_mark(&m, "50 before "), 0);
	assert_false(cdp_mark_has(&m, &vm));

	assert_int_equal(cdp_reply_branch(&b, "0 100 300 -"), 0);
	assert_int_equal(b.end, 300);
	assert_int_equal(b.revert_to, 0);
	assert_int_equal(cdp_reply_branch(&b, "1 300 - 200"), 0);
	assert_int_equal(b.end, CDP_TIME_NOW);
	assert_int_equal(b.revert_to, 200);
}

static void volumes_of_a_mark_may_be_followed_by_more(void **state)
{
	struct cdp_volume_line db = { .name = "db" }, more = { .name = "more" };
	struct cdp_mark_line m;

	assert_int_equal(cdp_reply_mark(&m, "200 before vm,db more"), 0);
	assert_int_equal(m.volumes_len, 5);
	assert_true(cdp_mark_has(&m, &db));
	assert_false(cdp_mark_has(&m, &more));
	assert_int_equal(cdp_reply_mark(&m, "200 before"), 0);
	assert_int_equal(m.volumes_len, 0);
	assert_false(cdp_mark_has(&m, &db));
}

static void a_set_of_names(void **state)
{
	struct names names = { 0 };
	char name[16];
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i * 7919 % 1000);
		assert_int_equal(names_add(&names, name), 0);
		assert_int_equal(names_add(&names, name), -EEXIST);
	}
	assert_true(names_have(&names, "n500"));
	names_remove(&names, "n500");
	assert_false(names_have(&names, "n500"));
	names_remove(&names, "n500");
	assert_int_equal(names_add(&names, "n500"), 0);
	names_exit(&names);
	assert_false(names_have(&names, "n1"));
}

static bool visit_mount(void *context, const struct mountpoint *m)
{
	unsigned int *nr_proc = context;

	assert_int_equal(*m->directory, '/');
	*nr_proc += !strcmp(m->directory, "/proc") && !strcmp(m->type, "proc");
	assert_true(mountpoint_on(m, m->major, m->minor));
	return false;
}

static bool visit_first(void *context, const struct mountpoint *m)
{
	++*(unsigned int *)context;
	return true;
}

static void what_is_mounted(void **state)
{
	unsigned int nr_proc = 0, nr = 0;

	mountinfo_visit(visit_mount, &nr_proc);
	assert_true(nr_proc);
	mountinfo_visit(visit_first, &nr);
	assert_int_equal(nr, 1);
}

static void status_and_tables(void **state)
{
	struct cdp_volume_table t;
	struct cdp_pool_status s;
	struct cdp_pool_table p;

	assert_int_equal(cdp_status_pool(&s, "rw 99 1/2 3/4 5/6 7 8 9 10"), 0);
	assert_string_equal(s.mode, "rw");
	assert_int_equal(s.metadata_total, 4);
	assert_int_equal(s.checkpoints, 10);
	assert_int_equal(cdp_status_pool(&s, "rw 99 1/2 3/4 5/6 7 8 9 10 11 more"), 0);
	assert_int_equal(cdp_status_pool(&s, "fail"), 0);
	assert_int_equal(cdp_status_pool(&s, "Fail"), 0);
	assert_int_equal(cdp_status_pool(&s, "rw"), -EPROTO);
	assert_int_equal(cdp_status_pool(&s, ""), -EPROTO);

	assert_int_equal(cdp_table_volume(&t, "253:4 vm 1234"), 0);
	assert_int_equal(t.major, 253);
	assert_string_equal(t.instant, "1234");
	assert_int_equal(cdp_table_volume(&t, "253:4 vm"), 0);
	assert_string_equal(t.instant, "");
	assert_int_equal(cdp_table_pool(&p, "8:1 8:2 8 2 checkpoint_ms 100"), 0);
	assert_int_equal(p.block_sectors, 8);
}

static void broken_answers_are_refused(void **state)
{
	struct cdp_volume_line v;
	struct cdp_branch_line b;
	struct cdp_volume_table t;
	u64 first, second;

	assert_int_equal(cdp_reply_volume(&v, "1 vm 2048 1000"), -EPROTO);
	assert_int_equal(cdp_reply_volume(&v, "1 -vm 2048 1000 1"), -EPROTO);
	assert_int_equal(cdp_reply_volume(&v, "4294967296 vm 2048 1000 1"), -EPROTO);
	assert_int_equal(cdp_reply_volume(&v, "1 vm 99999999999999999999 1 1"), -EPROTO);
	assert_int_equal(cdp_reply_branch(&b, "0 x - -"), -EPROTO);
	assert_int_equal(cdp_table_volume(&t, "253 vm"), -EPROTO);
	assert_int_equal(cdp_reply_times("", &first, &second), -EPROTO);
	assert_int_equal(cdp_reply_times("12 ab", &first, &second), -EPROTO);
	assert_int_equal(cdp_reply_times("12 34\n", &first, &second), 0);
	assert_int_equal(second, 34);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(sizes_for_people),
		cmocka_unit_test(paths),
		cmocka_unit_test(what_is_no_path_is_refused),
		cmocka_unit_test(the_longest_names_fit_a_uuid),
		cmocka_unit_test(names_of_views_have_room_for_their_overlay),
		cmocka_unit_test(answers_line_by_line),
		cmocka_unit_test(marks_and_branches),
		cmocka_unit_test(volumes_of_a_mark_may_be_followed_by_more),
		cmocka_unit_test(a_set_of_names),
		cmocka_unit_test(what_is_mounted),
		cmocka_unit_test(status_and_tables),
		cmocka_unit_test(broken_answers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
