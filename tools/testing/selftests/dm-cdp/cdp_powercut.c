// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workload and the verdict of powercut.sh, which kills the machine in between.
 *
 *	cdp_powercut run    <metadata dev> <data dev> <seed>
 *	cdp_powercut verify <metadata dev> <data dev> <seed> <round> <ack>...
 *
 * A seed fixes every operation, so the verifier needs no memory of the run but
 * what was acknowledged. Rounds: each thread works through its operations, in its
 * own half of a volume; when all are done, mark "r<round>" over all volumes, and
 * sometimes a revert of volume 0 to an earlier mark.
 *
 * run prints, each line after the kernel has acknowledged what it says:
 *	flushed <thread> <id>	the thread's operations up to id, of this round
 *	round <n>		mark, and revert if there was one
 * Lines may have been under way when the machine died: the verifier takes them
 * for the least that must be there, and learns from the marks and branches it
 * finds how far the run really came.
 */
#include "model.h"

#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	NR_THREADS	= 4,
	THREAD_OPS	= 12,
	ROUND_OPS	= NR_THREADS * THREAD_OPS,
	NR_VOLUMES	= 2,
	VOLUME_SECTORS	= 8192,
	REGION_SECTORS	= VOLUME_SECTORS / 2,
	MAX_ROUNDS	= 400,
	MAX_SECTORS	= 128,
	NO_REVERT	= -1,
};

struct plan {
	struct op op;
	bool fua;
	bool flush;		/* after it */
};

static u64 seed;
static struct world w;
static pthread_barrier_t barrier;

/* The first round is 1, so id 0 stays free. */
static u32 op_id(unsigned int round, unsigned int thread, unsigned int i)
{
	return 1 + (round - 1) * ROUND_OPS + thread * THREAD_OPS + i;
}

static void op_plan(struct plan *p, u32 id)
{
	unsigned int thread = (id - 1) % ROUND_OPS / THREAD_OPS;
	u32 region = thread / NR_VOLUMES * REGION_SECTORS;
	struct rng rng;
	u32 dice;

	rng_init(&rng, seed * 1000003 + id);
	memset(p, 0, sizeof(*p));
	p->op.slot = thread % NR_VOLUMES;
	dice = rng_below(&rng, 100);
	p->op.kind = dice < 88 ? OP_WRITE : dice < 95 ? OP_DISCARD : OP_ZEROOUT;
	p->op.nr = 1 + rng_below(&rng, MAX_SECTORS);
	p->op.sector = rng_below(&rng, REGION_SECTORS - MAX_SECTORS - 8);
	if (p->op.kind == OP_DISCARD || rng_chance(&rng, 60)) {
		p->op.nr = (p->op.nr + 7) & ~7;
		p->op.sector &= ~7;
	}
	p->op.sector += region;
	p->fua = rng_chance(&rng, 5);
	p->flush = rng_chance(&rng, 20);
}

/* The round whose mark a revert at the end of this round goes to. */
static int revert_plan(unsigned int round)
{
	struct rng rng;

	rng_init(&rng, seed * 7777777 + round);
	return rng_chance(&rng, 30) ? (int)(1 + rng_below(&rng, round)) : NO_REVERT;
}

static void op_apply(u32 *image, const struct op *op, u32 id)
{
	u32 s;

	for (s = op->sector; s < op->sector + op->nr; s++)
		image[s] = op->kind == OP_WRITE ? id : 0;
}

/*
 * The run.
 */
static void op_submit(const struct plan *p, u32 id, char *buffer)
{
	u64 range[2] = { (u64)p->op.sector * SECTOR_SIZE, (u64)p->op.nr * SECTOR_SIZE };
	int fd = w.volume[p->op.slot].fd;
	bool done;

	if (p->op.kind == OP_WRITE)
		done = world_write(&w, id, &p->op, buffer, p->fua);
	else
		done = !ioctl(fd, p->op.kind == OP_DISCARD ? BLKDISCARD : BLKZEROOUT, range);
	TEST_ASSERT(done, "operation %u", id);
}

static void thread_round(unsigned int thread, unsigned int round, char *buffer)
{
	unsigned int i;
	struct plan p;

	for (i = 0; i < THREAD_OPS; i++) {
		u32 id = op_id(round, thread, i);

		op_plan(&p, id);
		op_submit(&p, id, buffer);
		if (!p.flush)
			continue;
		TEST_ASSERT(!fsync(w.volume[p.op.slot].fd), "flush");
		printf("flushed %u %u\n", thread, id);
	}
}

static void *thread_main(void *arg)
{
	unsigned int round, thread = (uintptr_t)arg;
	char *buffer = block_buffer((MAX_SECTORS + 8) * SECTOR_SIZE);

	for (round = 1; round <= MAX_ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		thread_round(thread, round, buffer);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void end_round(unsigned int round)
{
	int to = revert_plan(round);

	dm_say("pool", NULL, 0, "mark r%u *", round);
	if (to != NO_REVERT)
		dm_say("pool", NULL, 0, "revert %s @r%d", w.volume[0].name, to);
	printf("round %u\n", round);
}

static void world_make(bool create)
{
	unsigned int slot;

	if (create) {
		world_open(&w);
		for (slot = 0; slot < NR_VOLUMES; slot++)
			world_create_volume(&w, slot, VOLUME_SECTORS);
		return;
	}
	for (slot = 0; slot < NR_VOLUMES; slot++) {
		w.volume[slot].exists = true;
		w.volume[slot].tag = slot + 1;
		w.volume[slot].sectors = VOLUME_SECTORS;
		sprintf(w.volume[slot].name, "volume%u", slot + 1);
	}
	world_open(&w);
}

static int run(void)
{
	pthread_t thread[NR_THREADS];
	unsigned int round;
	uintptr_t i;

	world_make(true);
	printf("round 0\n");
	pthread_barrier_init(&barrier, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		TEST_ASSERT(!pthread_create(&thread[i], NULL, thread_main, (void *)i), "no thread");
	for (round = 1; round <= MAX_ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		end_round(round);
	}
	printf("finished\n");
	pause();
	return 1;
}

/*
 * The verdict.
 */
struct past {
	u32 *image[NR_VOLUMES];		/* at the mark of a round */
};

static struct past past[MAX_ROUNDS + 1];

/* Plays a round on the images, up to its mark. */
static void play_round(u32 **image, unsigned int round)
{
	u32 id;

	for (id = op_id(round, 0, 0); id < op_id(round + 1, 0, 0); id++) {
		struct plan p;

		op_plan(&p, id);
		op_apply(image[p.op.slot], &p.op, id);
	}
}

static void play_revert(u32 **image, unsigned int round)
{
	int to = revert_plan(round);

	if (to != NO_REVERT)
		memcpy(image[0], past[to].image[0], VOLUME_SECTORS * sizeof(u32));
}

/* The images after the round's mark; its revert is not played. */
static void play_until(u32 **image, unsigned int last)
{
	unsigned int round, slot;

	for (round = 1; round <= last; round++) {
		play_round(image, round);
		for (slot = 0; slot < NR_VOLUMES; slot++)
			past[round].image[slot] = image_copy(image[slot], VOLUME_SECTORS);
		if (round < last)
			play_revert(image, round);
	}
}

static unsigned int newest_mark(char *list)
{
	unsigned int nr = 0, round;
	char *line;

	for (line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
		TEST_ASSERT(sscanf(line, "%*u r%u *", &round) == 1, "a strange mark: %s", line);
		TEST_ASSERT(round == ++nr, "mark r%u where r%u belongs", round, nr);
	}
	return nr;
}

static unsigned int nr_branches(void)
{
	static char list[1 << 16];
	unsigned int n = 0;
	char *line;

	dm_say("pool", list, sizeof(list), "list_branches %s", w.volume[0].name);
	for (line = strtok(list, "\n"); line; line = strtok(NULL, "\n"))
		n++;
	return n;
}

static unsigned int reverts_until(unsigned int round)
{
	unsigned int r, n = 0;

	for (r = 1; r <= round; r++)
		n += revert_plan(r) != NO_REVERT;
	return n;
}

/* Fills the model's operations of one round; what was acknowledged becomes "sure". */
static void expect_round(unsigned int round, char **acks, int nr_acks, bool *sure)
{
	u32 id, first = op_id(round, 0, 0), last = op_id(round + 1, 0, 0);
	struct plan p;
	int i;

	for (id = first; id < last; id++) {
		u32 thread = (id - first) / THREAD_OPS;

		op_plan(&p, id);
		w.op[id] = p.op;
		/* Within a thread one after the other, between threads nothing is known. */
		w.op[id].issue = 2 + 2 * ((id - first) % THREAD_OPS);
		w.op[id].done = w.op[id].issue + 1;
		for (i = 0; i < nr_acks; i++) {
			u32 ack = strtoul(acks[i], NULL, 10);

			if (ack >= id && ack < last && (ack - first) / THREAD_OPS == thread)
				sure[id - first] = true;
		}
	}
}

static void check_live(u32 **base, unsigned int round, bool started, char **acks, int nr_acks)
{
	bool sure[ROUND_OPS] = { false };
	char name[8], path[32], why[WHY_SIZE];
	unsigned int slot;
	u32 *got = image_new(VOLUME_SECTORS);

	expect_round(round, acks, nr_acks, sure);
	for (slot = 0; slot < NR_VOLUMES; slot++) {
		struct expect e = { .slot = slot, .base = base[slot],
				    .first = op_id(round, 0, 0), .must = NEVER,
				    .limit = FOREVER, .sure = sure };

		e.last = started ? op_id(round + 1, 0, 0) : e.first;
		sprintf(name, "v%u", slot);
		dm_node(name, path, sizeof(path));
		TEST_ASSERT(image_read(&w, slot, path, got, why), "volume %u: %s", slot, why);
		TEST_ASSERT(expect_matches(&w, &e, got, why), "volume %u, round %u: %s", slot,
			    round, why);
	}
	free(got);
}

static void check_marks(unsigned int nr)
{
	unsigned int round, slot, step = nr / 12 + 1;
	u32 *got = image_new(VOLUME_SECTORS);
	char instant[16], why[WHY_SIZE];

	for (round = nr; round && round <= nr; round -= round > step ? step : round) {
		slot = round % NR_VOLUMES;
		sprintf(instant, "@r%u", round);
		view_open(&w, 0, slot, instant);
		view_read(&w, 0, slot, got);
		TEST_ASSERT(image_same(past[round].image[slot], got, VOLUME_SECTORS, why),
			    "volume %u at %s: %s", slot, instant, why);
		view_close(0);
	}
	free(got);
}

static int verify(unsigned int acked, char **acks, int nr_acks)
{
	static char list[1 << 16];
	u32 *image[NR_VOLUMES] = { image_new(VOLUME_SECTORS), image_new(VOLUME_SECTORS) };
	unsigned int marks, branches, before;
	bool reverted;

	world_make(false);
	dm_say("pool", list, sizeof(list), "list_marks");
	marks = newest_mark(list);
	TEST_ASSERT(marks >= acked, "round %u was acknowledged, its mark is not there", acked);
	play_until(image, marks);

	before = marks ? reverts_until(marks - 1) : 0;
	branches = nr_branches() - 1;
	reverted = branches == before + 1 && marks && revert_plan(marks) != NO_REVERT;
	TEST_ASSERT(branches == before || reverted, "%u reverts instead of %u", branches, before);
	if (marks && marks == acked)
		TEST_ASSERT(reverted || revert_plan(marks) == NO_REVERT,
			    "the revert of round %u is lost", marks);
	if (reverted)
		play_revert(image, marks);
	check_live(image, marks + 1, reverted || !marks || revert_plan(marks) == NO_REVERT, acks,
		   marks == acked ? nr_acks : 0);
	check_marks(marks);
	world_close(&w);
	tap_note("%u rounds acknowledged, %u found, %u reverts", acked, marks, branches);
	return 0;
}

static int powercut_main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	seed = strtoull(argv[4], NULL, 10);
	world_init(&w, seed, op_id(MAX_ROUNDS + 2, 0, 0) + 1);
	snprintf(w.meta, sizeof(w.meta), "%s", argv[2]);
	snprintf(w.data, sizeof(w.data), "%s", argv[3]);
	strcpy(w.options, "6 journal_blocks 64 checkpoint_extents 128 checkpoint_ms 200");
	tap_testing("all that was acknowledged before the power cut is there");
	if (!strcmp(argv[1], "run"))
		return run();
	return verify(argc > 5 ? atoi(argv[5]) : 0, argv + 6, argc - 6);
}

int main(int argc, char **argv)
{
	return tap_main(powercut_main, dm_clean_up, argc, argv);
}
