/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * dm-cdp: a block device that remembers every write.
 *
 * This header is the contract between the kernel module, the tools and the
 * disks.  Part 1 is the table and message grammar, part 2 the limits, part 3
 * the on-disk format.  Documentation/dm-cdp-format.rst tells the format in
 * prose, byte by byte.
 *
 * Grammar notation: <x> is a value, [x] may be left out, x... repeats, | chooses.
 *
 *   cdp-pool <metadata dev> <data dev> <block size (sectors)>
 *            [<#options> [journal_blocks <n>] [checkpoint_extents <n>]
 *                        [checkpoint_ms <n>]]
 *   cdp      <pool dev> <volume>
 *   cdp-view <pool dev> <volume> <instant>
 *
 *   <instant>: microseconds since 1970-01-01 UTC, or @<mark>
 *   <volume>, <mark>: 1 to 63 of [A-Za-z0-9._+:-], the first one of [A-Za-z0-9]
 *
 * Messages to the pool device.  Each is atomic and durable when it returns; one
 * that fails has changed nothing.
 *
 *   create_volume <volume> <size (sectors)>   -> <time>
 *   delete_volume <volume>
 *   mark <mark> <volume>... | mark <mark> *   -> <time>
 *   unmark <mark>
 *   revert <volume> <instant>                 -> <time of the revert> <instant>
 *   resolve <volume> <instant>                -> <instant> <branch>
 *   list_volumes     -> a line each: <id> <volume> <sectors> <created> <branches>
 *   list_marks [<after (time)>]
 *                    -> a line each: <time> <mark> *|[<volume>[,<volume>]...]
 *   list_branches <volume>
 *                    -> a line each: <branch> <start> <end>|- <revert-to>|-
 *   time             -> <time>
 *   checkpoint
 *
 * Status (INFO):
 *   cdp-pool: <mode> <time> <used>/<total data blocks>
 *             <used>/<total metadata blocks> <used>/<total journal blocks>
 *             <extents in the tail> <volumes> <marks> <checkpoints>
 *             mode: rw | out_of_data_space | out_of_metadata_space | ro | fail
 *   cdp:      <volume id> <sectors> <branches> <start of the current branch>
 *   cdp-view: <volume id> <sectors> <instant>
 */
#ifndef _UAPI_LINUX_DM_CDP_H
#define _UAPI_LINUX_DM_CDP_H

#include <linux/types.h>

/*
 * Part 2: limits.
 */
enum cdp_limits {
	CDP_NAME_SIZE		= 64,		/* a name and its final NUL */
	CDP_MARK_VOLUMES	= 64,		/* volumes named by one mark */
	CDP_LEVEL_SHIFT		= 3,		/* a level's extents are 8 times larger */
	CDP_NR_LEVELS		= 8,		/* 1, 8, 64 ... 2^21 blocks */
	CDP_MAX_WRITE_LEVEL	= 3,		/* larger extents are tombstones only */
	CDP_LBA_BITS		= 37,		/* blocks of a volume: 512 TiB of 4 KiB */
	CDP_VOLUME_BITS		= 24,
	CDP_PBLOCK_BITS		= 40,
	CDP_TIME_BITS		= 62,
	CDP_MIN_BLOCK_SECTORS	= 8,		/* 4 KiB */
	CDP_MAX_BLOCK_SECTORS	= 128,		/* 64 KiB */
	CDP_UNIT_SIZE		= 4096,		/* metadata, journal and label blocks */
	CDP_MIN_JOURNAL_BLOCKS	= 16,
	CDP_MAX_JOURNAL_BLOCKS	= 1 << 20,
};

/*
 * Part 3: on-disk format.  All integers are little-endian.  Every block has
 * a crc32c (seed ~0, no final inversion) in its first four bytes, over the rest
 * of what the block's comment names.
 *
 * Data device:      unit 0 label, units 1..journal_blocks journal, data blocks
 *                   from sector data_start on.
 * Metadata device:  block 0 superblock, the rest managed by dm-persistent-data.
 */
#define CDP_FORMAT_VERSION	1
#define CDP_SUPER_MAGIC		0x5265705553504443ULL	/* "CDPSUpeR" */
#define CDP_LABEL_MAGIC		0x6c6562614c504443ULL	/* "CDPLabel" */
#define CDP_JOURNAL_MAGIC	0x6e72756f4a504443ULL	/* "CDPJourn" */
#define CDP_NODE_MAGIC		0x65646f4e54504443ULL	/* "CDPTNode" */

/*
 * The key of a version: (volume, level, lba) ascending, then time descending.
 * hi = volume << 40 | level << 37 | lba, with lba in blocks, aligned to the
 * level's extent, 1 << (level * CDP_LEVEL_SHIFT) blocks.
 */
#define CDP_HI_LEVEL_SHIFT	CDP_LBA_BITS
#define CDP_HI_VOLUME_SHIFT	(CDP_LBA_BITS + 3)

/* Flags of a version. */
enum cdp_version_flags {
	CDP_TOMBSTONE	= 1 << 0,	/* reads as zeroes, has no blocks */
	CDP_CHECKED	= 1 << 1,	/* journal only: csum of the data is valid */
};

/*
 * Superblock: metadata block 0.  Everything is in the first 512 bytes, which the
 * checksum covers (bytes 4 to 511), the rest of the block is zero: so a write
 * torn at a sector leaves either the old or the new one.
 */
struct cdp_super_disk {
	__le32 csum;
	__le32 version;
	__le64 magic;
	__u8 uuid[16];
	__le64 blocknr;			/* 0 */
	__le64 incompat;		/* an unknown bit: refuse to open */
	__le64 compat;			/* an unknown bit: ignore */
	__le64 autoclear;		/* an unknown bit: clear on first write */

	__le64 generation;		/* one more with every commit */
	__le64 time;			/* every time handed out so far is <= this */
	__le64 journal_seq;		/* replay starts at this block */
	__le32 block_sectors;
	__le32 next_volume;
	__le64 data_start;		/* sectors */
	__le64 nr_data_blocks;
	__le64 nr_metadata_blocks;
	__le64 journal_blocks;
	__le64 used_data_blocks;

	__le64 tree_root;
	__le64 tree_entries;
	__le64 tree_leaves;
	__le32 tree_depth;		/* 0: the root is a leaf */
	__le32 nr_marks;
	__le64 volumes_root;		/* dm-btree: volume -> cdp_volume_disk */
	__le64 branches_root;		/* dm-btree: volume << 32 | n -> cdp_branch_disk */
	__le64 marks_root;		/* dm-btree: time -> cdp_mark_disk */
	__le64 space_root;		/* dm-array: __le64 words, bit set: block in use */
	__u8 metadata_space_map_root[128];
	__u8 reserved[128];
} __attribute__((packed));

/*
 * Label: first 512 bytes of the data device; checksum over bytes 4 to 511.
 */
struct cdp_label_disk {
	__le32 csum;
	__le32 version;
	__le64 magic;
	__u8 uuid[16];
	__le64 blocknr;			/* 0 */
	__le32 block_sectors;
	__le32 reserved0;
	__le64 data_start;
	__le64 journal_blocks;
	__u8 reserved[448];
} __attribute__((packed));

/*
 * Journal block: header, then records, each a multiple of 8 bytes.  Checksum
 * over bytes 4 to 4095.  Block seq stands in unit 1 + seq % journal_blocks.
 */
struct cdp_journal_disk {
	__le32 csum;
	__le32 version;
	__le64 magic;
	__u8 uuid[16];
	__le64 seq;
	__le64 commit_seq;		/* seq of the first block of this commit */
	__le64 durable_seq;		/* all blocks up to this one were durable */
	__le16 used;			/* bytes of records */
	__u8 reserved[6];
} __attribute__((packed));

enum cdp_record_type {
	CDP_REC_WRITE	= 1,
	CDP_REC_CREATE	= 2,
	CDP_REC_DELETE	= 3,
	CDP_REC_REVERT	= 4,
	CDP_REC_MARK	= 5,
	CDP_REC_UNMARK	= 6,
};

struct cdp_record_disk {
	__u8 type;
	__u8 flags;
	__le16 len;			/* bytes, this header included */
} __attribute__((packed));

struct cdp_write_record_disk {
	struct cdp_record_disk head;	/* flags: cdp_version_flags */
	__le32 csum;			/* crc32c of the data if CDP_CHECKED, else 0 */
	__le64 hi;
	__le64 time;
	__le64 pblock;			/* first data block; 0 for a tombstone */
} __attribute__((packed));

struct cdp_create_record_disk {
	struct cdp_record_disk head;
	__le32 volume;
	__le64 time;
	__le64 nr_sectors;
	char name[CDP_NAME_SIZE];
} __attribute__((packed));

struct cdp_delete_record_disk {
	struct cdp_record_disk head;
	__le32 volume;
	__le64 time;
} __attribute__((packed));

struct cdp_revert_record_disk {
	struct cdp_record_disk head;
	__le32 volume;
	__le64 time;			/* where the new branch starts */
	__le64 revert_to;		/* the instant that is its past */
} __attribute__((packed));

struct cdp_mark_record_disk {
	struct cdp_record_disk head;
	__le32 nr_volumes;		/* 0: every volume that exists at the time */
	__le64 time;
	char name[CDP_NAME_SIZE];
	__le32 volumes[];		/* padded with a 0 to a multiple of 8 bytes */
} __attribute__((packed));

struct cdp_unmark_record_disk {
	struct cdp_record_disk head;
	__le32 reserved;
	__le64 time;			/* the mark's time: its key */
} __attribute__((packed));

/*
 * Node of the index: 4 KiB; checksum over bytes 4 to 4095.  A leaf's entries are
 * 16 bytes, relative to the bases of its header; an inner node's are 24.
 */
enum cdp_node_flags {
	CDP_NODE_LEAF	= 1,
	CDP_NODE_INNER	= 2,
};

struct cdp_node_disk {
	__le32 csum;
	__le32 flags;
	__le64 magic;
	__u8 uuid[16];
	__le64 blocknr;
	__le16 nr_entries;
	__le16 level;			/* 0: leaf */
	__le16 entry_size;
	__u8 reserved[2];
	__le64 base_hi;			/* leaf: the least hi */
	__le64 base_time;		/* leaf: the least time */
} __attribute__((packed));

/*
 * a = (hi - base_hi) << 32 | (time - base_time) >> 16
 * b = (time - base_time) << 48 | flags << 40 | pblock
 */
struct cdp_leaf_entry_disk {
	__le64 a;
	__le64 b;
} __attribute__((packed));

/* Keys of the child are >= (hi, time) and < the next entry's. */
struct cdp_inner_entry_disk {
	__le64 hi;
	__le64 time;
	__le64 child;
} __attribute__((packed));

#define CDP_LEAF_ENTRIES \
	((CDP_UNIT_SIZE - sizeof(struct cdp_node_disk)) / sizeof(struct cdp_leaf_entry_disk))
#define CDP_INNER_ENTRIES \
	((CDP_UNIT_SIZE - sizeof(struct cdp_node_disk)) / sizeof(struct cdp_inner_entry_disk))

/* Values of the library's B-trees. */
enum cdp_volume_flags {
	CDP_VOLUME_DELETED = 1 << 0,	/* its versions are being given back */
};

struct cdp_volume_disk {
	__le64 nr_sectors;
	__le64 created;
	__le32 nr_branches;
	__le32 flags;
	char name[CDP_NAME_SIZE];
	__le64 newest[CDP_NR_LEVELS];	/* time of the newest version per level, or 0 */
} __attribute__((packed));

struct cdp_branch_disk {
	__le64 start;			/* exclusive; it ends where the next one starts */
	__le64 revert_to;		/* 0 for the first branch */
} __attribute__((packed));

struct cdp_mark_disk {
	char name[CDP_NAME_SIZE];
	__le32 nr_volumes;		/* 0: every volume that existed at the time */
	__le32 volumes[CDP_MARK_VOLUMES];
	__le32 reserved;
} __attribute__((packed));

#endif /* _UAPI_LINUX_DM_CDP_H */
