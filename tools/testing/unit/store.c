// SPDX-License-Identifier: GPL-2.0-only
#include "store.h"
#include "tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/crc32c.h>
#include <linux/device-mapper.h>

struct dm_block {
	dm_block_t nr;
	unsigned int count, committed_count;
	bool fresh;			/* made in this transaction ... */
	bool shadow;			/* ... and known as such */
	bool dirty;
	unsigned int readers;
	bool writer;
	void *buf;			/* cached, or NULL */
	const struct dm_block_validator *validator;	/* of buf */
	u8 disk[STORE_BLOCK_SIZE];
};

struct dm_transaction_manager {
	struct dm_transaction_manager *real;	/* a clone's */
	struct dm_block **blocks;
	dm_block_t nr_blocks, next;
	unsigned int held, most_held;
	u32 random;
	struct store_options options;
	struct store_faults faults;
};

bool shim_verbose;

__attribute__((noreturn, format(printf, 2, 3)))
static void misuse(dm_block_t b, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "store: block %llu: ", (unsigned long long)b);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static bool one_in(struct dm_transaction_manager *tm, unsigned int n)
{
	if (!n)
		return false;
	tm->random = tm->random * 1664525 + 1013904223;
	return !((tm->random >> 8) % n);
}

static bool fault(long *left)
{
	if (*left < 0)
		return false;
	if (!*left)
		return true;
	--*left;
	return false;
}

static struct dm_block *block_get(struct dm_transaction_manager *tm, dm_block_t nr)
{
	if (nr >= tm->nr_blocks)
		return NULL;
	if (!tm->blocks[nr]) {
		tm->blocks[nr] = calloc(1, sizeof(struct dm_block));
		tm->blocks[nr]->nr = nr;
	}
	return tm->blocks[nr];
}

static void block_write_out(struct dm_block *b)
{
	if (!b->dirty)
		return;
	b->validator->prepare_for_write(b->validator, b, STORE_BLOCK_SIZE);
	memcpy(b->disk, b->buf, STORE_BLOCK_SIZE);
	b->dirty = false;
}

static void block_drop(struct dm_block *b)
{
	if (b->readers || b->writer)
		misuse(b->nr, "dropped while locked");
	free(b->buf);
	b->buf = NULL;
	b->dirty = false;
	b->validator = NULL;
}

static int block_read_in(struct dm_block *b, const struct dm_block_validator *v)
{
	int r;

	if (b->buf) {
		if (b->validator != v)
			misuse(b->nr, "another validator");
		return 0;
	}
	b->buf = malloc(STORE_BLOCK_SIZE);
	memcpy(b->buf, b->disk, STORE_BLOCK_SIZE);
	b->validator = v;
	r = v->check(v, b, STORE_BLOCK_SIZE);
	if (r)
		block_drop(b);
	return r;
}

static void hold(struct dm_transaction_manager *tm, struct dm_block *b)
{
	if (++tm->held > tm->most_held)
		tm->most_held = tm->held;
	if (tm->options.max_held && tm->held > tm->options.max_held)
		misuse(b->nr, "%u locks at once", tm->held);
}

static int lock(struct dm_transaction_manager *tm, struct dm_block *b, bool write,
		const struct dm_block_validator *v)
{
	int r;

	if (!b->count && !b->committed_count && !tm->options.hostile)
		misuse(b->nr, "hold of a free block");
	if (b->writer || (write && b->readers)) {
		if (!tm->options.hostile)
			misuse(b->nr, "locked twice");
		return -EINVAL;
	}
	if (fault(&tm->faults.reads))
		return -EIO;
	r = block_read_in(b, v);
	if (r)
		return r;
	if (write)
		b->writer = true;
	else
		b->readers++;
	hold(tm, b);
	return 0;
}

static struct dm_block *allocate(struct dm_transaction_manager *tm)
{
	dm_block_t i;

	for (i = 1; i < tm->nr_blocks; i++) {
		struct dm_block *b;

		if (++tm->next >= tm->nr_blocks)
			tm->next = 1;		/* 0: the superblock */
		b = block_get(tm, tm->next);
		if (b->count || b->committed_count)
			continue;
		if (b->buf)
			block_drop(b);
		b->count = 1;
		b->fresh = true;
		b->shadow = !one_in(tm, tm->options.forget_shadow);
		return b;
	}
	return NULL;
}

/* Somebody may still be searching the committed tree. */
static void put(struct dm_block *b)
{
	if (b->writer || (b->readers && !b->committed_count))
		misuse(b->nr, "dec of a locked block");
	if (!--b->count && b->fresh) {
		block_drop(b);
		b->fresh = false;
	}
}

/*
 * The interface
 */
dm_block_t dm_block_location(struct dm_block *b)
{
	return b->nr;
}

void *dm_block_data(struct dm_block *b)
{
	return b->buf;
}

u32 dm_bm_checksum(const void *data, size_t len, u32 init_xor)
{
	return crc32c(~0U, data, len) ^ init_xor;
}

int dm_tm_new_block(struct dm_transaction_manager *tm, const struct dm_block_validator *v,
		    struct dm_block **result)
{
	struct dm_block *b;

	if (tm->real)
		return -EWOULDBLOCK;
	if (fault(&tm->faults.allocations))
		return -ENOSPC;
	b = allocate(tm);
	if (!b)
		return -ENOSPC;
	b->buf = calloc(1, STORE_BLOCK_SIZE);
	b->validator = v;
	b->writer = true;
	hold(tm, b);
	*result = b;
	return 0;
}

int dm_tm_shadow_block(struct dm_transaction_manager *tm, dm_block_t orig,
		       const struct dm_block_validator *v, struct dm_block **result,
		       int *inc_children)
{
	struct dm_block *b;
	int r;

	if (tm->real)
		return -EWOULDBLOCK;
	b = block_get(tm, orig);
	if (!b)
		return -EINVAL;
	if (!b->count) {
		if (!tm->options.hostile)
			misuse(orig, "shadow of a free block");
		return -EINVAL;
	}
	*inc_children = b->count > 1;
	if (b->shadow && !*inc_children) {
		r = lock(tm, b, true, v);
		*result = b;
		return r;
	}

	r = dm_tm_new_block(tm, v, result);
	if (r)
		return r;
	r = lock(tm, b, false, v);
	if (r) {
		dm_tm_unlock(tm, *result);
		return r;
	}
	memcpy((*result)->buf, b->buf, STORE_BLOCK_SIZE);
	dm_tm_unlock(tm, b);
	put(b);
	return 0;
}

int dm_tm_read_lock(struct dm_transaction_manager *tm, dm_block_t nr,
		    const struct dm_block_validator *v, struct dm_block **result)
{
	struct dm_transaction_manager *real = tm->real ? tm->real : tm;
	struct dm_block *b = block_get(real, nr);

	if (!b)
		return -EIO;
	if (tm->real && (!b->buf || one_in(real, real->options.would_block))) {
		if (!one_in(real, 4))		/* it comes in meanwhile, or not */
			block_read_in(b, v);
		return -EWOULDBLOCK;
	}
	*result = b;
	return lock(real, b, false, v);
}

void dm_tm_unlock(struct dm_transaction_manager *tm, struct dm_block *b)
{
	if (tm->real)
		tm = tm->real;
	if (!b->writer && !b->readers)
		misuse(b->nr, "unlock without lock");
	tm->held--;
	if (b->writer) {
		b->writer = false;
		b->dirty = true;
	} else {
		b->readers--;
		if (!b->dirty && memcmp(b->buf, b->disk, STORE_BLOCK_SIZE))
			misuse(b->nr, "changed under a read lock");
	}
	if (!b->readers && one_in(tm, tm->options.evict)) {
		block_write_out(b);
		block_drop(b);
	}
}

/* As the module's own, whose blocks are not in the table of shadows either. */
int cdp_tree_new_block(struct cdp_tree *tree, struct dm_block **result)
{
	int r = dm_tm_new_block(tree->tm, &tree->validator, result);

	if (!r)
		(*result)->shadow = false;
	return r;
}

/* Nothing is cached here. */
int cdp_tree_write_out(struct cdp_tree *tree)
{
	return 0;
}

void dm_tm_inc(struct dm_transaction_manager *tm, dm_block_t nr)
{
	struct dm_block *b = block_get(tm, nr);

	if (!b || !b->count)
		misuse(nr, "inc of a free block");
	b->count++;
}

void dm_tm_dec(struct dm_transaction_manager *tm, dm_block_t nr)
{
	struct dm_block *b = block_get(tm, nr);

	if (b && b->count)
		put(b);
	else if (!tm->options.hostile)
		misuse(nr, "dec of a free block");
}

/*
 * Control
 */
struct dm_transaction_manager *store_create(dm_block_t nr_blocks, unsigned int seed)
{
	struct dm_transaction_manager *tm = calloc(1, sizeof(*tm));

	tm->blocks = calloc(nr_blocks, sizeof(*tm->blocks));
	tm->nr_blocks = nr_blocks;
	tm->random = seed;
	tm->faults = (struct store_faults) { -1, -1 };
	return tm;
}

void store_destroy(struct dm_transaction_manager *tm)
{
	dm_block_t i;

	for (i = 0; i < tm->nr_blocks; i++) {
		if (tm->blocks[i])
			free(tm->blocks[i]->buf);
		free(tm->blocks[i]);
	}
	free(tm->blocks);
	free(tm);
}

struct dm_transaction_manager *store_clone(struct dm_transaction_manager *tm)
{
	struct dm_transaction_manager *clone = calloc(1, sizeof(*clone));

	clone->real = tm;
	return clone;
}

void store_clone_destroy(struct dm_transaction_manager *clone)
{
	free(clone);
}

struct store_options *store_options(struct dm_transaction_manager *tm)
{
	return &tm->options;
}

struct store_faults *store_faults(struct dm_transaction_manager *tm)
{
	return &tm->faults;
}

void store_evict(struct dm_transaction_manager *tm)
{
	dm_block_t i;

	for (i = 0; i < tm->nr_blocks; i++) {
		struct dm_block *b = tm->blocks[i];

		if (!b || !b->buf || b->readers || b->writer)
			continue;
		block_write_out(b);
		block_drop(b);
	}
}

static void check_unlocked(struct dm_transaction_manager *tm, const char *when)
{
	dm_block_t i;

	for (i = 0; tm->held && i < tm->nr_blocks; i++) {
		struct dm_block *b = tm->blocks[i];

		if (b && (b->writer || b->readers))
			misuse(i, "locked at %s", when);
	}
}

void store_commit(struct dm_transaction_manager *tm)
{
	dm_block_t i;

	check_unlocked(tm, "commit");
	for (i = 0; i < tm->nr_blocks; i++) {
		struct dm_block *b = tm->blocks[i];

		if (!b)
			continue;
		if (b->buf && b->count)
			block_write_out(b);
		b->committed_count = b->count;
		b->fresh = false;
		b->shadow = false;
		if (!b->count)
			block_drop(b);
	}
}

void store_abort(struct dm_transaction_manager *tm)
{
	dm_block_t i;

	check_unlocked(tm, "abort");
	for (i = 0; i < tm->nr_blocks; i++) {
		struct dm_block *b = tm->blocks[i];

		if (!b)
			continue;
		block_drop(b);
		b->count = b->committed_count;
		b->fresh = false;
		b->shadow = false;
	}
}

unsigned int store_held(struct dm_transaction_manager *tm)
{
	return tm->held;
}

unsigned int store_most_held(struct dm_transaction_manager *tm)
{
	return tm->most_held;
}

dm_block_t store_used(struct dm_transaction_manager *tm)
{
	dm_block_t i, used = 0;

	for (i = 0; i < tm->nr_blocks; i++)
		used += tm->blocks[i] && tm->blocks[i]->count;
	return used;
}

dm_block_t store_fresh(struct dm_transaction_manager *tm)
{
	dm_block_t i, fresh = 0;

	for (i = 0; i < tm->nr_blocks; i++)
		fresh += tm->blocks[i] && tm->blocks[i]->fresh;
	return fresh;
}

void *store_disk(struct dm_transaction_manager *tm, dm_block_t nr)
{
	struct dm_block *b = block_get(tm, nr);

	if (b->buf) {
		block_write_out(b);
		block_drop(b);
	}
	return b->disk;
}
