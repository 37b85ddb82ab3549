// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bitmaps against a byte for each block.
 */
#include "test.h"
#include "space.h"

#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/slab.h>

enum { REGION_SHIFT = 15 };	/* as in space.c */

struct run {
	u64 block, nr;
};

struct model {
	struct cdp_space space;
	u64 nr;
	u8 *used, *committed;		/* of each block */
	u8 *dirty;			/* of each word */
	u64 nr_used, nr_committed;
	struct run *runs;		/* handed out */
	unsigned int nr_runs;
};

static struct model m;

static const u64 sizes[] = {
	1, 2, 63, 64, 65, 127, 1000, 8191, 8192, 8193, 32767, 32768, 32769, 65536, 100001,
};

static void start(u64 nr)
{
	m = (struct model) { .nr = nr };
	memset(&m.space, 0xee, sizeof(m.space));
	m.used = calloc(nr, 1);
	m.committed = calloc(nr, 1);
	m.dirty = calloc(nr / 64 + 1, 1);
	m.runs = calloc(nr, sizeof(*m.runs));
	assert_int_equal(cdp_space_init(&m.space, nr), 0);
	assert_int_equal(cdp_space_words(&m.space), (nr + 63) / 64);
}

static void stop(void)
{
	cdp_space_exit(&m.space);
	free(m.used);
	free(m.committed);
	free(m.dirty);
	free(m.runs);
}

static void check_counters(void)
{
	assert_int_equal(m.space.nr_free, m.nr - m.nr_used);
	assert_int_equal(m.space.nr_committed, m.nr_committed);
}

/* Every bit, and the counts by region. */
static void check_all(void)
{
	const struct cdp_space *s = &m.space;
	u64 block, free = 0;

	check_counters();
	for (block = 0; block < m.nr; block++) {
		bool taken = block >= s->run && block < s->run_end;

		assert_false(taken && m.used[block]);
		assert_int_equal(test_bit(block, s->allocated), m.used[block] || taken);
		assert_int_equal(test_bit(block, s->committed), m.committed[block]);
		free += !test_bit(block, s->allocated);
		if (block + 1 == m.nr || !((block + 1) & ((1 << REGION_SHIFT) - 1))) {
			assert_int_equal(s->region_free[block >> REGION_SHIFT], free);
			free = 0;
		}
	}
}

static void use(u64 block, u64 nr)
{
	for (; nr; block++, nr--) {
		assert_true(block < m.nr);
		m.nr_used += !m.used[block];
		m.used[block] = 1;
	}
}

/* What is handed out was free, and is a run. */
static u64 do_alloc(u64 nr)
{
	u64 block, i, got = cdp_space_alloc(&m.space, nr, &block);

	assert_true(got <= nr);
	assert_int_equal(!got, m.nr_used == m.nr);
	for (i = 0; i < got; i++) {
		assert_true(block + i < m.nr);
		assert_int_equal(m.used[block + i], 0);
	}
	use(block, got);
	if (got)
		m.runs[m.nr_runs++] = (struct run) { block, got };
	check_counters();
	return got;
}

/* Gives back a run that was handed out, or the end of one. */
static void do_release(void)
{
	struct run *run, part;
	u64 i;

	if (!m.nr_runs)
		return;
	run = &m.runs[random_below(m.nr_runs)];
	part.nr = random_below(2) ? run->nr : 1 + random_below(run->nr);
	part.block = run->block + run->nr - part.nr;
	run->nr -= part.nr;
	if (!run->nr)
		*run = m.runs[--m.nr_runs];
	for (i = 0; i < part.nr; i++)
		m.used[part.block + i] = 0;
	m.nr_used -= part.nr;
	cdp_space_release(&m.space, part.block, part.nr);
	check_counters();
}

static struct run random_range(u64 most)
{
	struct run r = { .block = random_below(m.nr) };

	r.nr = 1 + random_below(min(most, m.nr - r.block));
	return r;
}

/* Some are set already. */
static void do_commit(bool value)
{
	struct run r = random_range(200);
	u64 b;

	for (b = r.block; b < r.block + r.nr; b++) {
		if (m.committed[b] == value)
			continue;
		m.committed[b] = value;
		m.nr_committed += value ? 1 : -1;
		m.dirty[b / 64] = 1;
	}
	if (value)
		cdp_space_commit(&m.space, r.block, r.nr);
	else
		cdp_space_uncommit(&m.space, r.block, r.nr);
	check_counters();
}

static u64 word_of_model(u64 word)
{
	u64 bits = 0, i;

	for (i = 0; i < 64 && word * 64 + i < m.nr; i++)
		bits |= (u64)m.committed[word * 64 + i] << i;
	return bits;
}

/* All words that changed, each once, in order. */
static void do_write_out(void)
{
	u64 word, bits, next = 0, words = cdp_space_words(&m.space);

	for (word = 0; cdp_space_next_dirty(&m.space, &word, &bits); word++) {
		assert_true(word < words);
		for (; next < word; next++)
			assert_int_equal(m.dirty[next], 0);
		assert_int_equal(m.dirty[word], 1);
		assert_true(bits == word_of_model(word));
		m.dirty[word] = 0;
		next = word + 1;
	}
	for (; next < words; next++)
		assert_int_equal(m.dirty[next], 0);
	word = 0;
	assert_false(cdp_space_next_dirty(&m.space, &word, &bits));
}

/* Nobody gives back: all of it comes, and then nothing. */
static void drain(u64 most)
{
	while (do_alloc(1 + random_below(most)))
		;
	assert_int_equal(m.space.nr_free, 0);
	assert_int_equal(do_alloc(1), 0);
	check_all();
}

/* Words as on disk, with bits beyond the device; then claims, some of them of what is used. */
static void load_and_claim(void)
{
	u64 word, i;

	for (word = 0; word < cdp_space_words(&m.space); word++) {
		u64 bits = random_below(3) ? random_u64() & random_u64() : ~0ULL * random_below(2);

		cdp_space_load(&m.space, word, bits);
		for (i = 0; i < 64 && word * 64 + i < m.nr; i++) {
			if (!(bits >> i & 1))
				continue;
			m.committed[word * 64 + i] = 1;
			m.nr_committed++;
			use(word * 64 + i, 1);
		}
	}
	check_all();
	for (i = 0; i < 20; i++) {
		struct run r = random_range(300);

		cdp_space_claim(&m.space, r.block, r.nr);
		use(r.block, r.nr);
		check_counters();
	}
	check_all();
}

static void without_memory_there_is_no_bitmap(void **state)
{
	unsigned int nth;

	for (nth = 1; nth <= 4; nth++) {
		shim_fail_alloc = nth;
		assert_int_equal(cdp_space_init(&m.space, 100000), -ENOMEM);
	}
	assert_int_equal(cdp_space_init(&m.space, 100000), 0);
	cdp_space_exit(&m.space);
	cdp_space_exit(&m.space);	/* again, as what was never begun */
}

static void every_block_is_handed_out_once(void **state)
{
	static const u64 most[] = { 1, 17, 512, 20000 };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (k = 0; k < ARRAY_SIZE(most); k++) {
			start(sizes[i]);
			check_all();
			drain(most[k]);
			stop();
		}
	}
}

static void what_is_loaded_or_claimed_is_not_handed_out(void **state)
{
	unsigned int i;

	for (i = 0; i < 3 * ARRAY_SIZE(sizes); i++) {
		start(sizes[i % ARRAY_SIZE(sizes)]);
		load_and_claim();
		do_write_out();		/* nothing: it is as on disk */
		drain(100);
		stop();
	}
}

static void a_step(unsigned int fill)
{
	u64 choice = random_below(100);

	if (choice < fill)
		do_alloc(1 + random_below(random_below(10) ? 40 : 9000));
	else if (choice < 80)
		do_release();
	else if (choice < 90)
		do_commit(true);
	else if (choice < 97)
		do_commit(false);
	else
		do_write_out();
}

static void any_steps_leave_what_the_model_has(void **state)
{
	unsigned int round, i;

	for (round = 0; round < 60; round++) {
		unsigned int fill = 20 + random_below(50);

		start(round % 2 ? sizes[random_below(ARRAY_SIZE(sizes))] :
		      1 + random_below(150000));
		if (random_below(2))
			load_and_claim();
		for (i = 0; i < 1500; i++) {
			a_step(fill);
			if (!random_below(300))
				check_all();
		}
		check_all();
		do_write_out();
		drain(1000);
		stop();
	}
}

static void a_full_device_gives_out_what_comes_back(void **state)
{
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(sizes[i]);
		drain(50);
		for (k = 0; k < 100; k++) {
			do_release();
			if (random_below(2))
				do_release();
			while (m.space.nr_free)
				do_alloc(1 + random_below(60));
		}
		check_all();
		stop();
	}
}

static void writes_follow_each_other_and_go_round(void **state)
{
	u64 block, at = 0, nr;

	start(100000);
	while (at < 100000) {
		nr = cdp_space_alloc(&m.space, 37, &block);
		assert_int_equal(block, at);
		at += nr;
		if (nr != 37)
			assert_int_equal(at, 100000);
		if (at < 50000)	/* free again, but behind the cursor */
			cdp_space_release(&m.space, block, nr);
	}
	assert_int_equal(cdp_space_alloc(&m.space, 1, &block), 1);
	assert_int_equal(block, 0);
	stop();
}

static void a_run_is_as_long_as_asked_where_there_is_room(void **state)
{
	u64 block, i;

	start(100000);
	for (i = 0; i < 100000 / 8192; i++) {
		assert_int_equal(cdp_space_alloc(&m.space, 8192, &block), 8192);
		assert_int_equal(block, i * 8192);
	}
	stop();
}

/*
 * Of 4 KiB blocks, bit numbers of 32 bits end at 16 TiB, and bitmaps of 2 GiB at 64.
 */
static void a_large_device_has_blocks_too(void **state)
{
	const u64 far = 1ULL << 34;
	struct cdp_space s;
	u64 block;

	assert_int_equal(cdp_space_init(&s, far + 100000), 0);
	s.run = far;
	s.run_end = far;
	assert_int_equal(cdp_space_alloc(&s, 10, &block), 10);
	assert_int_equal(block, far);
	assert_false(test_bit(0, s.allocated));
	assert_true(test_bit(far, s.allocated));
	cdp_space_release(&s, block, 10);
	assert_false(test_bit(far, s.allocated));
	assert_true(test_bit(far + 10, s.allocated));
	cdp_space_claim(&s, far + 99999, 1);
	assert_true(test_bit(far + 99999, s.allocated));
	assert_int_equal(s.nr_free, far + 99999);
	cdp_space_exit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_there_is_no_bitmap),
		cmocka_unit_test(every_block_is_handed_out_once),
		cmocka_unit_test(what_is_loaded_or_claimed_is_not_handed_out),
		cmocka_unit_test(any_steps_leave_what_the_model_has),
		cmocka_unit_test(a_full_device_gives_out_what_comes_back),
		cmocka_unit_test(writes_follow_each_other_and_go_round),
		cmocka_unit_test(a_run_is_as_long_as_asked_where_there_is_room),
		cmocka_unit_test(a_large_device_has_blocks_too),
	};

	random_start();
	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
