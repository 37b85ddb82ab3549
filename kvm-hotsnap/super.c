// SPDX-License-Identifier: GPL-2.0-only
/* The file system: mounting it, and its inodes. */
#include "super.h"

#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

enum { HOTSNAP_MAGIC = 0x686f7473 };	/* "hots" */

struct hotsnap_options {
	umode_t mode;			/* of the root */
	kuid_t uid;
	kgid_t gid;
};

static struct kmem_cache *inode_cache;

/*
 * Inodes
 */
static struct inode *alloc_inode(struct super_block *sb)
{
	struct hotsnap_memory *memory = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!memory)
		return NULL;
	memory->snapshot = NULL;
	memory->epoch = 0;
	memory->last_id = 0;
	memory->committed_id = 0;
	memory->last_state = HOTSNAP_STATE_NONE;
	memory->buffer = (struct hotsnap_buffer){ .policy = HOTSNAP_POLICY_ABORT };
	memory->source = NULL;
	memory->depth = 0;
	return &memory->inode;
}

static void free_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, hotsnap_memory(inode));
}

/* A snapshot keeps the file open, so there is none. */
static void evict_inode(struct inode *inode)
{
	struct hotsnap_memory *memory = hotsnap_memory(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	xa_destroy(&memory->pages);
	if (memory->source)
		fput(memory->source);
}

static void init_once(void *p)
{
	struct hotsnap_memory *memory = p;

	inode_init_once(&memory->inode);
	init_rwsem(&memory->instant);
	mutex_init(&memory->control);
	xa_init(&memory->pages);
}

/*
 * The superblock
 */
static int show_options(struct seq_file *seq, struct dentry *root)
{
	const struct hotsnap_options *options = root->d_sb->s_fs_info;

	seq_printf(seq, ",mode=%03o,uid=%u,gid=%u", options->mode,
		   from_kuid_munged(&init_user_ns, options->uid),
		   from_kgid_munged(&init_user_ns, options->gid));
	return 0;
}

static int count_pages(struct super_block *sb)
{
	struct inode *inode;
	int nr = 0;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list)
		nr += inode->i_mapping->nrpages;
	spin_unlock(&sb->s_inode_list_lock);
	return nr;
}

/* Memory that is there, and memory that could be had. */
static int statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct sysinfo info;
	u64 used = count_pages(dentry->d_sb);

	si_meminfo(&info);
	buf->f_type = HOTSNAP_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	buf->f_bfree = info.freeram;
	buf->f_bavail = info.freeram;
	buf->f_blocks = used + info.freeram;
	buf->f_namelen = NAME_MAX;
	return 0;
}

static const struct super_operations super_ops = {
	.alloc_inode	= alloc_inode,
	.free_inode	= free_inode,
	.evict_inode	= evict_inode,
	.drop_inode	= generic_delete_inode,
	.statfs		= statfs,
	.show_options	= show_options,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct hotsnap_options *options = sb->s_fs_info;
	struct inode *inode;

	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = HOTSNAP_MAGIC;
	sb->s_op = &super_ops;
	sb->s_time_gran = 1;

	inode = hotsnap_inode_create(sb, NULL, S_IFDIR | options->mode);
	if (!inode)
		return -ENOMEM;
	inode->i_uid = options->uid;
	inode->i_gid = options->gid;
	sb->s_root = d_make_root(inode);
	return sb->s_root ? 0 : -ENOMEM;
}

/*
 * Mounting
 */
enum { OPT_MODE, OPT_UID, OPT_GID };

static const struct fs_parameter_spec parameters[] = {
	fsparam_u32oct("mode",	OPT_MODE),
	fsparam_u32("uid",	OPT_UID),
	fsparam_u32("gid",	OPT_GID),
	{}
};

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct hotsnap_options *options = fc->s_fs_info;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	switch (opt) {
	case OPT_MODE:
		if (result.uint_32 & ~S_IALLUGO)
			return invalf(fc, "hotsnap: mode=%o is no mode", result.uint_32);
		options->mode = result.uint_32;
		return 0;
	case OPT_UID:
		options->uid = make_kuid(fc->user_ns, result.uint_32);
		if (!uid_valid(options->uid))
			return invalf(fc, "hotsnap: uid=%u is no user here", result.uint_32);
		return 0;
	case OPT_GID:
		options->gid = make_kgid(fc->user_ns, result.uint_32);
		if (!gid_valid(options->gid))
			return invalf(fc, "hotsnap: gid=%u is no group here", result.uint_32);
		return 0;
	}
	return opt;
}

static int get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, fill_super);
}

static void free_context(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations context_ops = {
	.parse_param	= parse_param,
	.get_tree	= get_tree,
	.free		= free_context,
};

static int init_context(struct fs_context *fc)
{
	struct hotsnap_options *options = kzalloc(sizeof(*options), GFP_KERNEL);

	if (!options)
		return -ENOMEM;
	options->mode = 0755;
	options->uid = current_fsuid();
	options->gid = current_fsgid();
	fc->s_fs_info = options;
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct hotsnap_options *options = sb->s_fs_info;

	kill_litter_super(sb);
	kfree(options);
}

static struct file_system_type type = {
	.owner			= THIS_MODULE,
	.name			= "hotsnap",
	.init_fs_context	= init_context,
	.parameters		= parameters,
	.kill_sb		= kill_sb,
};
MODULE_ALIAS_FS("hotsnap");

int hotsnap_super_init(void)
{
	int r;

	inode_cache = kmem_cache_create("hotsnap_inode", sizeof(struct hotsnap_memory), 0,
					SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, init_once);
	if (!inode_cache)
		return -ENOMEM;
	r = register_filesystem(&type);
	if (r)
		kmem_cache_destroy(inode_cache);
	return r;
}

void hotsnap_super_exit(void)
{
	unregister_filesystem(&type);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(inode_cache);
}
