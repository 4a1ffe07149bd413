// SPDX-License-Identifier: GPL-2.0
/* Programs and maps by their numbers: see program.h. */
#include "program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "util.h"

int program_by_id(__u32 id, char ret_name[PROGRAM_NAME_LEN])
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes))
		return -errno;
	memcpy(ret_name, info.name, PROGRAM_NAME_LEN);
	return TAKE_FD(fd);
}

int program_maps(int program_fd, __u32 ret[PROGRAM_MAX_MAPS])
{
	struct bpf_prog_info info = {
		.nr_map_ids = PROGRAM_MAX_MAPS,
		.map_ids = (__u64)(unsigned long)ret,
	};
	__u32 bytes = sizeof(info);

	if (bpf_obj_get_info_by_fd(program_fd, &info, &bytes))
		return -errno;
	return info.nr_map_ids < PROGRAM_MAX_MAPS ? (int)info.nr_map_ids : PROGRAM_MAX_MAPS;
}

__u32 program_map_id(int map_fd)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);

	return bpf_obj_get_info_by_fd(map_fd, &info, &bytes) ? 0 : info.id;
}

int program_map_by_id(__u32 id, char ret_name[PROGRAM_NAME_LEN])
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes))
		return -errno;
	memcpy(ret_name, info.name, PROGRAM_NAME_LEN);
	return TAKE_FD(fd);
}
