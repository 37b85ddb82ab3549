// SPDX-License-Identifier: GPL-2.0-only
/* Names, owners and sizes. */
#include "super.h"

static const struct inode_operations dir_inode_ops;
static const struct inode_operations file_inode_ops;

struct inode *hotsnap_inode_create(struct super_block *sb, const struct inode *dir, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode_init_owner(&nop_mnt_idmap, inode, dir, mode);
	simple_inode_init_ts(inode);
	if (S_ISDIR(mode)) {
		inode->i_op = &dir_inode_ops;
		inode->i_fop = &simple_dir_operations;
		inc_nlink(inode);
		return inode;
	}
	inode->i_op = &file_inode_ops;
	inode->i_fop = &hotsnap_file_ops;
	inode->i_mapping->a_ops = &hotsnap_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
	mapping_set_unevictable(inode->i_mapping);
	return inode;
}

static int make(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = hotsnap_inode_create(dir->i_sb, dir, mode);

	if (!inode)
		return -ENOMEM;
	d_instantiate(dentry, inode);
	dget(dentry);			/* memory has no other place to be found */
	hotsnap_touch(dir);
	return 0;
}

static int create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		  bool excl)
{
	return make(dir, dentry, mode | S_IFREG);
}

static int mkdir(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	int r = make(dir, dentry, mode | S_IFDIR);

	if (!r)
		inc_nlink(dir);
	return r;
}

static const struct inode_operations dir_inode_ops = {
	.create	= create,
	.lookup	= simple_lookup,
	.link	= simple_link,
	.unlink	= simple_unlink,
	.mkdir	= mkdir,
	.rmdir	= simple_rmdir,
	.rename	= simple_rename,
};

/*
 * First the size, so that nobody makes new pages where they are about to vanish.  The part of
 * the last page that is cut off is written, with zeroes: a process that maps the page sees it.
 */
static int shrink(struct inode *inode, loff_t old, loff_t size)
{
	struct hotsnap_memory *memory = hotsnap_memory(inode);
	int r;

	i_size_write(inode, size);
	r = hotsnap_zero(memory, size, round_up(size, PAGE_SIZE));
	if (!r)
		r = hotsnap_punch(memory, DIV_ROUND_UP(size, PAGE_SIZE),
				  DIV_ROUND_UP(old, PAGE_SIZE));
	if (r)
		i_size_write(inode, old);
	return r;
}

static int resize(struct inode *inode, loff_t size)
{
	loff_t old = i_size_read(inode);
	int r = 0;

	if (size < old)
		r = shrink(inode, old, size);
	if (!r)
		truncate_setsize(inode, size);
	return r;
}

static int setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int r;

	r = setattr_prepare(&nop_mnt_idmap, dentry, attr);
	if (r)
		return r;
	if (attr->ia_valid & ATTR_SIZE && attr->ia_size != i_size_read(inode)) {
		r = resize(inode, attr->ia_size);
		if (r)
			return r;
	}
	setattr_copy(&nop_mnt_idmap, inode, attr);
	return 0;
}

static const struct inode_operations file_inode_ops = {
	.setattr	= setattr,
	.getattr	= simple_getattr,
};
