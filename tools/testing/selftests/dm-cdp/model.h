/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model: what a pool must hold, kept in memory by a dumb program.
 *
 * Every write fills each of its sectors with one stamp that is used nowhere else:
 *
 *	id of the write << 32 | tag of the volume << 24 | sector
 *
 * repeated to the sector's end.  So a sector read back says which write it is
 * from, and betrays itself if it stands in the wrong place, in the wrong volume, or
 * is put together from two writes.
 *
 * An image is one id per sector, 0 for zeroes.
 *
 * Order is kept in tickets, drawn from one counter when an operation is issued and
 * when it is done: A was done before B was issued iff A.done < B.issue.  Of two
 * operations on a sector for which neither holds, either may win.
 */
#ifndef CDP_MODEL_H
#define CDP_MODEL_H

#include "cdp_test.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	MAX_VOLUMES	= 4,
	MAX_THREADS	= 8,
	WHY_SIZE	= 256,
	NEVER		= 0,	/* a ticket before all others */
};

#define FOREVER	UINT64_MAX

enum op_kind {
	OP_WRITE,
	OP_DISCARD,		/* zeroes, where it covers whole blocks */
	OP_ZEROOUT,		/* zeroes */
};

struct op {
	enum op_kind kind;
	unsigned int slot;
	u32 sector;
	u32 nr;
	u64 issue;
	u64 done;		/* FOREVER while it is in flight */
};

struct volume {
	bool exists;
	u8 tag;
	char name[16];
	u32 sectors;
	u32 *now;		/* the live image */
	unsigned int nr_branches;
	int fd;			/* -1: not open */
};

/* An instant whose images are known. */
struct sample {
	u64 time;
	char mark[32];		/* "": not marked (any more) */
	u8 tag[MAX_VOLUMES];	/* of the volume then in the slot; 0: none */
	u32 *image[MAX_VOLUMES];
};

struct world {
	struct rng rng;
	char meta[64];
	char data[64];
	u32 block_sectors;
	char options[96];
	bool history;		/* false: plain devices, to test the model itself */
	pthread_mutex_t in_turn; /* a plain device's writes, see world_write() */
	bool discards;
	bool fua;
	const char *log;	/* name of a dm-log-writes device that gets marks, or NULL */

	struct volume volume[MAX_VOLUMES];
	u8 next_tag;
	unsigned int next_mark;

	struct op *op;		/* op[id] */
	u32 max_ops;
	_Atomic u32 next_op;	/* the next id; the first is 1 */
	_Atomic u64 ticket;
	u64 nr_flushes;

	struct sample *sample;
	unsigned int nr_samples;
};

void world_init(struct world *w, u64 seed, u32 max_ops);

/* The pool and its volumes come and go, their content stays. */
void world_open(struct world *w);
void world_close(struct world *w);
int __world_open_pool(struct world *w);
u64 world_create_volume(struct world *w, unsigned int slot, u32 sectors);
void world_delete_volume(struct world *w, unsigned int slot);
void volume_open(struct world *w, unsigned int slot);
void volume_close(struct world *w, unsigned int slot);
void world_flush(struct world *w);
/* Stamps the buffer as write id and writes it; false if that failed. */
bool world_write(struct world *w, u32 id, const struct op *op, char *buffer, bool fua);

/*
 * A burst: threads write, flush and discard at random.  Nothing is known about the
 * images until burst_finish(), which waits, reads the volumes and checks that they
 * show what they may.
 */
struct burst {
	u32 first, last;	/* ids: [first, last) */
	u32 *base[MAX_VOLUMES];	/* images before it */
	pthread_t thread[MAX_THREADS];
	unsigned int nr_threads;
	_Atomic unsigned int running;
};

void burst_start(struct world *w, struct burst *b, unsigned int nr_threads, unsigned int nr_ops);
void burst_finish(struct world *w, struct burst *b);
void burst_free(struct burst *b);

/* Samples; all want that nothing is in flight. */
struct sample *world_sample(struct world *w);
struct sample *world_mark(struct world *w);
void world_unmark(struct world *w, struct sample *sample);
/* Whether the volume in the slot existed at the sample. */
bool sample_has(const struct world *w, const struct sample *sample, unsigned int slot);
struct sample *world_random_sample(struct world *w, unsigned int slot);
void world_revert(struct world *w, unsigned int slot, const struct sample *sample);

/* What an image may show. */
struct expect {
	unsigned int slot;
	const u32 *base;
	u32 first, last;	/* operations that may show beside the base */
	u64 must;		/* those done before it have to */
	u64 limit;		/* those issued after it must not */
	const bool *sure;	/* or NULL; sure[id - first]: has to show all the same */
	bool instant;		/* what shows, shows with all that was done before it was issued */
};

bool expect_matches(struct world *w, const struct expect *e, const u32 *got, char *why);
u32 *image_new(u32 sectors);
u32 *image_copy(const u32 *image, u32 sectors);
/* False, and why, if a sector is none of this volume's. */
bool image_read(struct world *w, unsigned int slot, const char *device, u32 *image, char *why);
bool image_same(const u32 *want, const u32 *got, u32 sectors, char *why);

void world_check_live(struct world *w);
/* Opens a view named for n, compares, closes. */
void world_check_view(struct world *w, unsigned int n, unsigned int slot,
		      const struct sample *sample);
void view_open(struct world *w, unsigned int n, unsigned int slot, const char *instant);
void view_read(struct world *w, unsigned int n, unsigned int slot, u32 *image);
void view_close(unsigned int n);

/* list_volumes, list_marks and list_branches say what the model says. */
bool world_lists_match(struct world *w, char *why);

#endif
