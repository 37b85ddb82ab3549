/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writers: threads of two processes that change one memory file in every way there is, and log
 * what they do, so that any image of the memory can be judged (see instant.h).
 *
 * No two writers write the same byte, but they share pages: each has a slot in every shared
 * page, and pages of its own behind them.  Writer 0's own pages are the last of the file: it
 * also cuts the file off and makes it grow again.
 *
 * What an operation writes follows from its writer and its number, so the log needs no data.
 */
#ifndef HOTSNAP_WRITERS_H
#define HOTSNAP_WRITERS_H

#include "hotsnap_test.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	MAX_WRITERS	= 8,
	SHARED_PAGES	= 96,
	OWN_PAGES	= 48,
	NR_ALIASES	= 2,	/* mappings of the file */
	LOG_OPS		= 1 << 14,
};

#define SLOT_SIZE	(PAGE / MAX_WRITERS)
#define MAX_OP_SIZE	(OWN_PAGES * PAGE)

enum op_kind {
	OP_STORE,		/* words, in turn */
	OP_READ,		/* read() into the mapping: bytes, in turn */
	OP_REMOTE,		/* process_vm_writev(): the same */
	OP_WRITE,		/* page by page, as are the next two */
	OP_PUNCH,
	OP_REMOVE,		/* madvise() */
	OP_CUT,			/* at once: the file ends at `start` from then on */
	OP_GROW,		/* it ends at `start` + `len` */
};

struct op {
	enum op_kind kind;
	u32 len;
	u64 start;
	/*
	 * Tickets, drawn from one counter before it begins and after it is over (0 until
	 * then): A was over before B began iff A.done < B.issue.
	 */
	_Atomic u64 issue;
	_Atomic u64 done;
};

struct writer {
	struct world *world;
	u32 nr;
	struct rng rng;
	u64 own;		/* where its own pages begin */
	u64 limit;		/* and end; the end of the file may be nearer */
	_Atomic u64 issued;	/* operations begun: the first is number 1 */
	_Atomic u64 done;	/* operations over */
	_Atomic u64 judged;	/* nobody needs the log up to here */
	struct op log[LOG_OPS];
};

/* Shared by the two processes. */
struct world {
	int fd;
	u64 pages;
	u8 *alias[NR_ALIASES];
	unsigned int nr_writers;
	_Atomic u64 ticket;
	atomic_bool stop;
	bool gated;		/* each operation passes the gate, see gate_close() */
	pthread_rwlock_t gate;
	pid_t other;		/* the second process */
	pthread_t thread[MAX_WRITERS];
	struct writer writer[MAX_WRITERS];
};

/* A world with a file of world_pages() pages, and nobody in it yet. */
struct world *world_new(int fd, unsigned int nr_writers, u64 seed);
u64 world_pages(unsigned int nr_writers);
void world_start(struct world *w);
void world_stop(struct world *w);
/* Ends the test if the second process has ended. */
void world_check(struct world *w);

/* While the gate is closed no operation is under way. */
void gate_close(struct world *w);
void gate_open(struct world *w);

/* The next operation of a writer, done here and now: for tests of the log's judge. */
void writer_step(struct writer *w);

struct op *writer_op(struct writer *w, u64 number);
/* What it writes. */
const u8 *op_data(const struct writer *w, u64 number, u8 *buffer);
/* How much of that becomes visible at once, from `offset` on. */
u32 op_step(const struct op *op, u32 offset);

#endif
