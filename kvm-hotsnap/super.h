/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVM_HOTSNAP_SUPER_H
#define KVM_HOTSNAP_SUPER_H

#include "memory.h"

int hotsnap_super_init(void);
void hotsnap_super_exit(void);

/* inode.c: a file or a folder; its owner is the caller, as `dir` (or NULL) has it. */
struct inode *hotsnap_inode_create(struct super_block *sb, const struct inode *dir, umode_t mode);

/* file.c */
extern const struct file_operations hotsnap_file_ops;

#endif
