/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs and maps that are in the kernel, by the numbers it gives them. Opens them; changes nothing.
 */
#ifndef TUNFENCE_PROGRAM_H
#define TUNFENCE_PROGRAM_H

#include <linux/types.h>

#define PROGRAM_MAX_MAPS 64  /* of one program; a map beyond them is as good as missing */
#define PROGRAM_NAME_LEN 16 /* BPF_OBJ_NAME_LEN of include/uapi/linux/bpf.h, and that of maps */

/* A program's name; a descriptor to it, or -errno. */
int program_by_id(__u32 id, char ret_name[PROGRAM_NAME_LEN]);

/* The numbers of a program's maps. Returns how many, or -errno. */
int program_maps(int program_fd, __u32 ret[PROGRAM_MAX_MAPS]);

/* A map's number; 0: it cannot be told. */
__u32 program_map_id(int map_fd);

/* A map's name; a descriptor to it, or -errno. */
int program_map_by_id(__u32 id, char ret_name[PROGRAM_NAME_LEN]);

#endif
