/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands: their table, their options, and what they share. Only these files print.
 */
#ifndef TUNFENCE_COMMAND_H
#define TUNFENCE_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "err.h"

#define DEFAULT_RUN_DIR "/run/tunfence"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FENCED = 3, /* status and metrics only */
};

struct options {
	const char *config_dir;    /* --config-dir */
	const char *wireguard_dir; /* --wireguard-dir */
	const char *socket_dir;    /* --socket-dir */
	const char *bpffs;         /* --bpffs */
	const char *run_dir;       /* --run-dir */
	const char *state_dir;     /* --state-dir */
	const char *cgroup;        /* --cgroup; NULL: the root group */
	const char *only;          /* --only; NULL: every vector */
	const char *top;           /* --top, --since, --app; NULL: the usual, ever, anybody */
	const char *since;
	const char *app;
	const char *by;            /* --by; NULL: tunfence itself */
	const char *output;        /* --output; NULL: standard output */
	const char *pcap;          /* --pcap; NULL: no capture */
	int program;               /* words behind "--"; -1: there is no "--" */
	bool clear;
	bool exempt;
	bool follow;
	bool force;
	bool journal;
	bool json;
	bool verbose;
};

struct command {
	const char *name;
	const char *arguments; /* as help prints them */
	const char *summary;
	int min, max;          /* number of arguments; max -1: any */
	/* 0 or an exit code; with e filled, main prints it and exits with EXIT_FAILED. */
	int (*run)(const struct options *o, int argc, char *argv[], struct err *e);
};

int cmd_up(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_down(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_status(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_blocked(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_watch(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_metrics(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_sync(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_check(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_explain(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_prepare(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_gate(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_run(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_admit(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_verify(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_version(const struct options *o, int argc, char *argv[], struct err *e);
int cmd_help(const struct options *o, int argc, char *argv[], struct err *e);

/* Prints e and returns EXIT_FAILED. */
int command_failed(const struct err *e);

/* "usage: tunfence NAME ARGUMENTS" on standard error; returns EXIT_USAGE. */
int command_usage(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
