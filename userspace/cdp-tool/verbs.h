/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One file per verb.  Each returns an exit code.
 */
#ifndef CDP_TOOL_VERBS_H
#define CDP_TOOL_VERBS_H

int pool_create_main(int argc, char **argv);
int pool_open_main(int argc, char **argv);
int pool_close_main(int argc, char **argv);
int pool_status_main(int argc, char **argv);
int volume_create_main(int argc, char **argv);
int volume_delete_main(int argc, char **argv);
int volume_list_main(int argc, char **argv);
int volume_status_main(int argc, char **argv);
int volume_open_main(int argc, char **argv);
int volume_close_main(int argc, char **argv);
int mark_main(int argc, char **argv);
int unmark_main(int argc, char **argv);
int revert_main(int argc, char **argv);
int view_open_main(int argc, char **argv);
int view_close_main(int argc, char **argv);
int view_list_main(int argc, char **argv);
int log_main(int argc, char **argv);
int check_main(int argc, char **argv);
int dump_main(int argc, char **argv);

#endif
