// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	CHUNK_SECTORS	= 512,	/* what image_read() asks for at once */
	MAX_OP_SECTORS	= 1024,
	HOT_BLOCKS	= 48,	/* half of all operations go there, to overlap */
	REPLY_SIZE	= 65536,
};

void world_init(struct world *w, u64 seed, u32 max_ops)
{
	unsigned int slot;

	memset(w, 0, sizeof(*w));
	rng_init(&w->rng, seed);
	w->block_sectors = 8;
	w->history = true;
	pthread_mutex_init(&w->in_turn, NULL);
	w->discards = true;
	w->fua = true;
	w->next_tag = 1;
	w->next_op = 1;
	w->ticket = 1;
	w->max_ops = max_ops;
	w->op = calloc(max_ops, sizeof(*w->op));
	TEST_ASSERT(w->op, "no memory");
	for (slot = 0; slot < MAX_VOLUMES; slot++)
		w->volume[slot].fd = -1;
}

static u64 draw_ticket(struct world *w)
{
	return atomic_fetch_add(&w->ticket, 1);
}

/*
 * Tells the log of writes that something has been acknowledged.  What was
 * acknowledged stands in the log before the mark.
 */
static void log_mark(struct world *w, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	if (!w->log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dm_say(w->log, NULL, 0, "mark %s", text);
}

/*
 * Images.
 */
u32 *image_new(u32 sectors)
{
	u32 *image = calloc(sectors, sizeof(*image));

	TEST_ASSERT(image, "no memory");
	return image;
}

u32 *image_copy(const u32 *image, u32 sectors)
{
	return memcpy(image_new(sectors), image, sectors * sizeof(*image));
}

bool image_same(const u32 *want, const u32 *got, u32 sectors, char *why)
{
	u32 i;

	for (i = 0; i < sectors && want[i] == got[i]; i++)
		;
	if (i == sectors)
		return true;
	snprintf(why, WHY_SIZE, "sector %u shows write %u instead of %u", i, got[i], want[i]);
	return false;
}

static u64 stamp_of(u32 id, u8 tag, u32 sector)
{
	return (u64)id << 32 | (u64)tag << 24 | sector;
}

static void stamp_sector(u64 *words, u64 stamp)
{
	unsigned int i;

	for (i = 0; i < SECTOR_SIZE / sizeof(stamp); i++)
		words[i] = stamp;
}

/* The id of the write that the sector is from; false if it is none. */
static bool sector_id(const u64 *words, u8 tag, u32 sector, u32 *id, char *why)
{
	if (memcmp(words, words + 1, SECTOR_SIZE - sizeof(*words))) {
		snprintf(why, WHY_SIZE, "sector %u is mixed: %#" PRIx64 " and others", sector,
			 words[0]);
		return false;
	}
	*id = words[0] >> 32;
	if (words[0] == (*id ? stamp_of(*id, tag, sector) : 0))
		return true;
	snprintf(why, WHY_SIZE, "sector %u of volume tag %u holds a foreign stamp %#" PRIx64,
		 sector, tag, words[0]);
	return false;
}

static bool image_parse(struct volume *v, const char *buffer, u32 start, u32 nr, u32 *image,
			char *why)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!sector_id((const u64 *)(buffer + i * SECTOR_SIZE), v->tag, start + i,
			       &image[start + i], why))
			return false;
	return true;
}

bool image_read(struct world *w, unsigned int slot, const char *device, u32 *image, char *why)
{
	struct volume *v = &w->volume[slot];
	char *buffer = block_buffer(CHUNK_SECTORS * SECTOR_SIZE);
	bool good = true;
	u32 at, nr;
	int fd = block_open(device, false);

	for (at = 0; good && at < v->sectors; at += nr) {
		nr = v->sectors - at < CHUNK_SECTORS ? v->sectors - at : CHUNK_SECTORS;
		if (pread(fd, buffer, nr * SECTOR_SIZE, (off_t)at * SECTOR_SIZE) !=
		    nr * SECTOR_SIZE) {
			snprintf(why, WHY_SIZE, "read of sectors %u+%u of %s failed: %m", at, nr,
				 device);
			good = false;
		} else {
			good = image_parse(v, buffer, at, nr, image, why);
		}
	}
	close(fd);
	free(buffer);
	return good;
}

/*
 * Expectations.  For the sectors of one volume, the operations on each, as lists.
 */
struct touch {
	u32 id;
	struct touch *next;
};

struct touches {
	struct touch **head;	/* one per sector */
	struct touch *pool;
};

static bool may_show(const struct op *op, const struct expect *e)
{
	return op->slot == e->slot && op->issue && op->issue <= e->limit;
}

static void touches_init(struct touches *t, struct world *w, const struct expect *e)
{
	struct touch *touch;
	size_t total = 0;
	u32 id, s;

	for (id = e->first; id < e->last; id++)
		if (may_show(&w->op[id], e))
			total += w->op[id].nr;
	t->head = calloc(w->volume[e->slot].sectors, sizeof(*t->head));
	t->pool = touch = calloc(total + 1, sizeof(*touch));
	TEST_ASSERT(t->head && touch, "no memory");

	for (id = e->first; id < e->last; id++) {
		const struct op *op = &w->op[id];

		if (!may_show(op, e))
			continue;
		for (s = op->sector; s < op->sector + op->nr; s++, touch++) {
			touch->id = id;
			touch->next = t->head[s];
			t->head[s] = touch;
		}
	}
}

static void touches_exit(struct touches *t)
{
	free(t->head);
	free(t->pool);
}

/* A discard need not do anything to blocks that it covers in part. */
static bool surely_covers(const struct world *w, const struct op *op, u32 sector)
{
	u32 block = sector - sector % w->block_sectors;

	return op->kind != OP_DISCARD ||
	       (op->sector <= block && block + w->block_sectors <= op->sector + op->nr);
}

struct judge {
	struct world *w;
	const struct expect *e;
	struct touches touches;
	bool *sure;		/* sure[id - first] */
};

/* Must something show that was issued after the ticket? */
static bool outdated(const struct judge *j, u32 sector, u64 done)
{
	const struct touch *t;

	for (t = j->touches.head[sector]; t; t = t->next) {
		const struct op *op = &j->w->op[t->id];

		if (j->sure[t->id - j->e->first] && op->issue > done &&
		    surely_covers(j->w, op, sector))
			return true;
	}
	return false;
}

static bool sector_allowed(const struct judge *j, u32 sector, u32 id)
{
	const struct touch *t;

	if (id == j->e->base[sector] && !outdated(j, sector, NEVER))
		return true;
	for (t = j->touches.head[sector]; t; t = t->next) {
		const struct op *op = &j->w->op[t->id];

		if (id == (op->kind == OP_WRITE ? t->id : 0) && !outdated(j, sector, op->done))
			return true;
	}
	return false;
}

/* A bio may be cut at the borders of blocks, and its parts have times of their own. */
static bool in_one_block(const struct world *w, const struct op *op)
{
	return op->sector / w->block_sectors == (op->sector + op->nr - 1) / w->block_sectors;
}

/*
 * At an instant shows whatever was done before what shows was issued; and a write
 * within a block shows as a whole.
 */
static void judge_instant(struct judge *j, const u32 *got)
{
	const struct expect *e = j->e;
	u64 latest = NEVER;
	u32 s, id;

	for (s = 0; s < j->w->volume[e->slot].sectors; s++) {
		id = got[s];
		if (id < e->first || id >= e->last)
			continue;
		if (in_one_block(j->w, &j->w->op[id]))
			j->sure[id - e->first] = true;
		if (j->w->op[id].issue > latest)
			latest = j->w->op[id].issue;
	}
	for (id = e->first; id < e->last; id++)
		if (j->w->op[id].done < latest)
			j->sure[id - e->first] = true;
}

static void judge_init(struct judge *j, struct world *w, const struct expect *e, const u32 *got)
{
	u32 id;

	j->w = w;
	j->e = e;
	j->sure = calloc(e->last - e->first + 1, sizeof(*j->sure));
	TEST_ASSERT(j->sure, "no memory");
	for (id = e->first; id < e->last; id++)
		j->sure[id - e->first] = w->op[id].done < e->must ||
					 (e->sure && e->sure[id - e->first]);
	if (e->instant)
		judge_instant(j, got);
	touches_init(&j->touches, w, e);
}

static void explain(const struct judge *j, u32 sector, u32 id, char *why)
{
	const struct touch *t;
	int n = snprintf(why, WHY_SIZE, "sector %u shows write %u; base %u; could show:", sector,
			 id, j->e->base[sector]);

	for (t = j->touches.head[sector]; t && n < WHY_SIZE; t = t->next) {
		const struct op *op = &j->w->op[t->id];

		n += snprintf(why + n, WHY_SIZE - n, " %u(%s%u+%u %" PRIu64 "..%" PRId64 "%s)",
			      t->id, op->kind == OP_WRITE ? "w" : op->kind == OP_DISCARD ? "d" : "z",
			      op->sector, op->nr, op->issue, (int64_t)op->done,
			      j->sure[t->id - j->e->first] ? "!" : "");
	}
}

bool expect_matches(struct world *w, const struct expect *e, const u32 *got, char *why)
{
	struct judge j;
	bool good = true;
	u32 s;

	judge_init(&j, w, e, got);
	for (s = 0; good && s < w->volume[e->slot].sectors; s++) {
		good = sector_allowed(&j, s, got[s]);
		if (!good)
			explain(&j, s, got[s], why);
	}
	touches_exit(&j.touches);
	free(j.sure);
	return good;
}

/*
 * Pool and volumes.
 */
int __world_open_pool(struct world *w)
{
	struct dm_spec spec = { .name = "pool", .sectors = 8, .target = "cdp-pool" };
	char params[256];
	int fd = block_open(w->data, false);

	spec.sectors = block_sectors_of(fd);
	close(fd);
	snprintf(params, sizeof(params), "%s %s %u %s", w->meta, w->data, w->block_sectors,
		 w->options);
	return __dm_table(&spec, params);
}

static void volume_device(unsigned int slot, char *name)
{
	sprintf(name, "v%u", slot);
}

static void volume_table(struct world *w, unsigned int slot)
{
	struct volume *v = &w->volume[slot];
	struct dm_spec spec = { .sectors = v->sectors };
	char name[16], pool[32];

	volume_device(slot, name);
	spec.name = name;
	if (w->history) {
		dm_node("pool", pool, sizeof(pool));
		spec.target = "cdp";
		dm_table(&spec, "%s %s", pool, v->name);
	} else {
		spec.target = "linear";
		dm_table(&spec, "%s %u", w->data, slot << 15);
	}
}

void volume_open(struct world *w, unsigned int slot)
{
	char name[16], path[32];

	volume_table(w, slot);
	volume_device(slot, name);
	dm_node(name, path, sizeof(path));
	w->volume[slot].fd = block_open(path, true);
}

void volume_close(struct world *w, unsigned int slot)
{
	char name[16];

	close(w->volume[slot].fd);
	w->volume[slot].fd = -1;
	volume_device(slot, name);
	dm_delete(name);
}

void world_open(struct world *w)
{
	unsigned int slot;
	int r;

	if (w->history) {
		r = __world_open_pool(w);
		TEST_ASSERT(!r, "the pool does not open: error %d", r);
	}
	for (slot = 0; slot < MAX_VOLUMES; slot++)
		if (w->volume[slot].exists)
			volume_open(w, slot);
}

void world_close(struct world *w)
{
	unsigned int slot;

	for (slot = 0; slot < MAX_VOLUMES; slot++)
		if (w->volume[slot].exists)
			volume_close(w, slot);
	if (w->history)
		dm_delete("pool");
}

u64 world_create_volume(struct world *w, unsigned int slot, u32 sectors)
{
	struct volume *v = &w->volume[slot];
	char reply[64] = "0";

	v->exists = true;
	v->tag = w->next_tag++;
	v->sectors = sectors;
	v->now = image_new(sectors);
	v->nr_branches = 1;
	snprintf(v->name, sizeof(v->name), "volume%u", v->tag);
	if (w->history)
		dm_say("pool", reply, sizeof(reply), "create_volume %s %u", v->name, sectors);
	volume_open(w, slot);
	return strtoull(reply, NULL, 10);
}

void world_delete_volume(struct world *w, unsigned int slot)
{
	struct volume *v = &w->volume[slot];

	volume_close(w, slot);
	dm_say("pool", NULL, 0, "delete_volume %s", v->name);
	v->exists = false;
}

void world_flush(struct world *w)
{
	unsigned int slot;

	for (slot = 0; slot < MAX_VOLUMES; slot++)
		if (w->volume[slot].exists)
			TEST_ASSERT(!fsync(w->volume[slot].fd), "flush of volume %u", slot);
}

/*
 * Bursts.
 */
struct worker {
	struct world *w;
	struct burst *b;
	struct rng rng;
	unsigned int nr_ops;
};

static unsigned int random_slot(struct world *w, struct rng *rng)
{
	unsigned int slot;

	do {
		slot = rng_below(rng, MAX_VOLUMES);
	} while (!w->volume[slot].exists);
	return slot;
}

static void choose_range(struct world *w, struct rng *rng, struct op *op)
{
	u32 sectors = w->volume[op->slot].sectors, bs = w->block_sectors;
	u32 room = rng_chance(rng, 50) && sectors > HOT_BLOCKS * bs ? HOT_BLOCKS * bs : sectors;
	u32 most = rng_chance(rng, 10) ? MAX_OP_SECTORS : 16 * bs;

	if (most > MAX_OP_SECTORS)
		most = MAX_OP_SECTORS;
	if (rng_chance(rng, 65)) {
		op->sector = rng_below(rng, room / bs) * bs;
		op->nr = (1 + rng_below(rng, most / bs)) * bs;
	} else {
		op->sector = rng_below(rng, room);
		op->nr = 1 + rng_below(rng, 3 * bs);
	}
	if (op->nr > sectors - op->sector)
		op->nr = sectors - op->sector;
}

static enum op_kind choose_kind(struct world *w, struct rng *rng)
{
	u32 dice = rng_below(rng, 100);

	if (!w->discards || dice < 86)
		return OP_WRITE;
	return dice < 94 ? OP_DISCARD : OP_ZEROOUT;
}

/*
 * A RAM disk copies two writes that overlap in time and place at once, and so mixes
 * them within a sector, which no disk does.  There they take turns; for the model they
 * are in flight together all the same, as their tickets are drawn outside.
 */
bool world_write(struct world *w, u32 id, const struct op *op, char *buffer, bool fua)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = op->nr * SECTOR_SIZE };
	struct volume *v = &w->volume[op->slot];
	ssize_t done;
	u32 i;

	for (i = 0; i < op->nr; i++)
		stamp_sector((u64 *)(buffer + i * SECTOR_SIZE),
			     stamp_of(id, v->tag, op->sector + i));
	if (!w->history)
		pthread_mutex_lock(&w->in_turn);
	done = pwritev2(v->fd, &iov, 1, (off_t)op->sector * SECTOR_SIZE, fua ? RWF_DSYNC : 0);
	if (!w->history)
		pthread_mutex_unlock(&w->in_turn);
	return done == (ssize_t)iov.iov_len;
}

static bool submit_zeroes(int fd, const struct op *op)
{
	u64 range[2] = { (u64)op->sector * SECTOR_SIZE, (u64)op->nr * SECTOR_SIZE };

	return !ioctl(fd, op->kind == OP_DISCARD ? BLKDISCARD : BLKZEROOUT, range);
}

static void random_op(struct worker *k, char *buffer)
{
	struct world *w = k->w;
	u32 id = atomic_fetch_add(&w->next_op, 1);
	bool fua = w->fua && rng_chance(&k->rng, 5), done;
	struct op *op = &w->op[id];
	int fd;

	TEST_ASSERT(id < w->max_ops, "too many operations");
	op->slot = random_slot(w, &k->rng);
	op->kind = choose_kind(w, &k->rng);
	choose_range(w, &k->rng, op);
	op->done = FOREVER;
	fd = w->volume[op->slot].fd;
	op->issue = draw_ticket(w);
	done = op->kind == OP_WRITE ? world_write(w, id, op, buffer, fua) : submit_zeroes(fd, op);
	TEST_ASSERT(done, "operation %u, kind %d, sectors %u+%u of volume %u", id, op->kind,
		    op->sector, op->nr, op->slot);
	op->done = draw_ticket(w);
	if (fua && op->kind == OP_WRITE)
		log_mark(w, "fua:%u", id);
}

static void random_flush(struct worker *k)
{
	struct world *w = k->w;
	unsigned int slot = random_slot(w, &k->rng);
	u64 ticket = draw_ticket(w);

	TEST_ASSERT(!fsync(w->volume[slot].fd), "flush of volume %u", slot);
	log_mark(w, "flush:%u:%" PRIu64, slot, ticket);
}

static void *worker_main(void *arg)
{
	struct worker *k = arg;
	char *buffer = block_buffer(MAX_OP_SECTORS * SECTOR_SIZE);

	while (k->nr_ops--) {
		if (rng_chance(&k->rng, 8))
			random_flush(k);
		else
			random_op(k, buffer);
	}
	atomic_fetch_sub(&k->b->running, 1);
	free(buffer);
	free(k);
	return NULL;
}

void burst_start(struct world *w, struct burst *b, unsigned int nr_threads, unsigned int nr_ops)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->first = w->next_op;
	b->nr_threads = nr_threads;
	b->running = nr_threads;
	for (i = 0; i < MAX_VOLUMES; i++)
		if (w->volume[i].exists)
			b->base[i] = image_copy(w->volume[i].now, w->volume[i].sectors);
	for (i = 0; i < nr_threads; i++) {
		struct worker *k = calloc(1, sizeof(*k));

		TEST_ASSERT(k, "no memory");
		k->w = w;
		k->b = b;
		k->nr_ops = nr_ops / nr_threads;
		rng_init(&k->rng, rng_next(&w->rng));
		TEST_ASSERT(!pthread_create(&b->thread[i], NULL, worker_main, k), "no thread");
	}
}

static void volume_learn(struct world *w, struct burst *b, unsigned int slot)
{
	struct expect e = { .slot = slot, .base = b->base[slot], .first = b->first,
			    .last = b->last, .must = FOREVER, .limit = FOREVER };
	char name[16], path[32], why[WHY_SIZE];

	volume_device(slot, name);
	dm_node(name, path, sizeof(path));
	TEST_ASSERT(image_read(w, slot, path, w->volume[slot].now, why), "volume %u: %s", slot, why);
	TEST_ASSERT(expect_matches(w, &e, w->volume[slot].now, why), "volume %u: %s", slot, why);
}

void burst_finish(struct world *w, struct burst *b)
{
	unsigned int i;

	for (i = 0; i < b->nr_threads; i++)
		pthread_join(b->thread[i], NULL);
	b->last = w->next_op;
	for (i = 0; i < MAX_VOLUMES; i++)
		if (w->volume[i].exists)
			volume_learn(w, b, i);
}

void burst_free(struct burst *b)
{
	unsigned int i;

	for (i = 0; i < MAX_VOLUMES; i++)
		free(b->base[i]);
}

/*
 * Samples.
 */
static struct sample *sample_add(struct world *w, u64 time)
{
	struct sample *s;
	unsigned int i;

	w->sample = realloc(w->sample, (w->nr_samples + 1) * sizeof(*s));
	TEST_ASSERT(w->sample, "no memory");
	s = &w->sample[w->nr_samples++];
	memset(s, 0, sizeof(*s));
	s->time = time;
	for (i = 0; i < MAX_VOLUMES; i++) {
		if (!w->volume[i].exists)
			continue;
		s->tag[i] = w->volume[i].tag;
		s->image[i] = image_copy(w->volume[i].now, w->volume[i].sectors);
	}
	return s;
}

struct sample *world_sample(struct world *w)
{
	char reply[64];

	dm_say("pool", reply, sizeof(reply), "time");
	return sample_add(w, strtoull(reply, NULL, 10));
}

struct sample *world_mark(struct world *w)
{
	char reply[64], mark[32];
	struct sample *s;

	snprintf(mark, sizeof(mark), "mark%u", w->next_mark++);
	dm_say("pool", reply, sizeof(reply), "mark %s *", mark);
	s = sample_add(w, strtoull(reply, NULL, 10));
	strcpy(s->mark, mark);
	return s;
}

void world_unmark(struct world *w, struct sample *sample)
{
	dm_say("pool", NULL, 0, "unmark %s", sample->mark);
	sample->mark[0] = 0;
}

bool sample_has(const struct world *w, const struct sample *sample, unsigned int slot)
{
	return w->volume[slot].exists && sample->tag[slot] == w->volume[slot].tag;
}

struct sample *world_random_sample(struct world *w, unsigned int slot)
{
	unsigned int tries = 64;

	while (tries-- && w->nr_samples) {
		struct sample *s = &w->sample[rng_below(&w->rng, w->nr_samples)];

		if (sample_has(w, s, slot))
			return s;
	}
	return NULL;
}

static void instant_name(const struct sample *sample, char *name)
{
	if (sample->mark[0])
		sprintf(name, "@%s", sample->mark);
	else
		sprintf(name, "%" PRIu64, sample->time);
}

void world_revert(struct world *w, unsigned int slot, const struct sample *sample)
{
	struct volume *v = &w->volume[slot];
	u32 *image = sample->image[slot];
	char instant[40], reply[64];
	u64 time, to;

	instant_name(sample, instant);
	dm_say("pool", reply, sizeof(reply), "revert %s %s", v->name, instant);
	TEST_ASSERT(sscanf(reply, "%" SCNu64 " %" SCNu64, &time, &to) == 2 && to == sample->time,
		    "a revert to %" PRIu64 " answers '%s'", sample->time, reply);
	TEST_ASSERT(time > to, "a revert at %" PRIu64 " to its future %" PRIu64, time, to);
	/* The instant of the revert itself still belongs to the branch that is left. */
	sample_add(w, time);
	v->nr_branches++;
	memcpy(v->now, image, v->sectors * sizeof(*v->now));
}

/*
 * Checks.
 */
void world_check_live(struct world *w)
{
	char name[16], path[32], why[WHY_SIZE];
	unsigned int slot;

	for (slot = 0; slot < MAX_VOLUMES; slot++) {
		struct volume *v = &w->volume[slot];
		u32 *got;

		if (!v->exists)
			continue;
		got = image_new(v->sectors);
		volume_device(slot, name);
		dm_node(name, path, sizeof(path));
		TEST_ASSERT(image_read(w, slot, path, got, why) &&
			    image_same(v->now, got, v->sectors, why), "volume %u: %s", slot, why);
		free(got);
	}
}

static void view_device(unsigned int n, char *name)
{
	sprintf(name, "view%u", n);
}

void view_open(struct world *w, unsigned int n, unsigned int slot, const char *instant)
{
	struct dm_spec spec = { .sectors = w->volume[slot].sectors, .target = "cdp-view",
				.read_only = true };
	char name[16], pool[32];

	view_device(n, name);
	spec.name = name;
	dm_node("pool", pool, sizeof(pool));
	dm_table(&spec, "%s %s %s", pool, w->volume[slot].name, instant);
}

void view_read(struct world *w, unsigned int n, unsigned int slot, u32 *image)
{
	char name[16], path[32], why[WHY_SIZE];

	view_device(n, name);
	dm_node(name, path, sizeof(path));
	TEST_ASSERT(image_read(w, slot, path, image, why), "view of volume %u: %s", slot, why);
}

void view_close(unsigned int n)
{
	char name[16];

	view_device(n, name);
	dm_delete(name);
}

void world_check_view(struct world *w, unsigned int n, unsigned int slot,
		      const struct sample *sample)
{
	struct volume *v = &w->volume[slot];
	char instant[40], why[WHY_SIZE];
	u32 *got = image_new(v->sectors);

	instant_name(sample, instant);
	view_open(w, n, slot, instant);
	view_read(w, n, slot, got);
	TEST_ASSERT(image_same(sample->image[slot], got, v->sectors, why),
		    "volume %u at %s (%" PRIu64 "): %s", slot, instant, sample->time, why);
	view_close(n);
	free(got);
}

/*
 * Lists.
 */
static char *ask(char *reply, const char *question)
{
	dm_say("pool", reply, REPLY_SIZE, "%s", question);
	return reply;
}

static unsigned int nr_lines(const char *text)
{
	unsigned int n = 0;

	/* The last line may come without its end. */
	while (*text) {
		n++;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return n;
}

static bool volumes_match(struct world *w, char *reply, char *why)
{
	unsigned int slot, nr = 0;

	ask(reply, "list_volumes");
	for (slot = 0; slot < MAX_VOLUMES; slot++) {
		const struct volume *v = &w->volume[slot];
		char needle[64];

		if (!v->exists)
			continue;
		nr++;
		sprintf(needle, " %s %u ", v->name, v->sectors);
		if (!strstr(reply, needle)) {
			snprintf(why, WHY_SIZE, "%s is missing in: %.100s", v->name, reply);
			return false;
		}
	}
	snprintf(why, WHY_SIZE, "%u volumes listed instead of %u: %.100s", nr_lines(reply), nr, reply);
	return nr_lines(reply) == nr;
}

static bool marks_match(struct world *w, char *reply, char *why)
{
	unsigned int i, nr = 0;

	ask(reply, "list_marks");
	for (i = 0; i < w->nr_samples; i++) {
		const struct sample *s = &w->sample[i];
		char needle[64];

		if (!s->mark[0])
			continue;
		nr++;
		sprintf(needle, "%" PRIu64 " %s *", s->time, s->mark);
		if (!strstr(reply, needle)) {
			snprintf(why, WHY_SIZE, "'%s' is missing in: %.100s", needle, reply);
			return false;
		}
	}
	snprintf(why, WHY_SIZE, "%u marks listed instead of %u: %.100s", nr_lines(reply), nr, reply);
	return nr_lines(reply) == nr;
}

static bool branches_match(struct world *w, char *reply, char *why)
{
	unsigned int slot;
	char question[64];

	for (slot = 0; slot < MAX_VOLUMES; slot++) {
		const struct volume *v = &w->volume[slot];

		if (!v->exists)
			continue;
		sprintf(question, "list_branches %s", v->name);
		ask(reply, question);
		if (nr_lines(reply) == v->nr_branches)
			continue;
		snprintf(why, WHY_SIZE, "%u branches of %s instead of %u: %.100s", nr_lines(reply),
			 v->name, v->nr_branches, reply);
		return false;
	}
	return true;
}

bool world_lists_match(struct world *w, char *why)
{
	char *reply = malloc(REPLY_SIZE);
	bool same;

	TEST_ASSERT(reply, "no memory");
	same = volumes_match(w, reply, why) && marks_match(w, reply, why) &&
	       branches_match(w, reply, why);
	free(reply);
	return same;
}
