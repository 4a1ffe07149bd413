# SPDX-License-Identifier: GPL-2.0
# How a figure grows, both scales of powers. data: for each
# curve its name, then size, median, spread.
set terminal svg size 900,500 font "sans,11" background "white" dynamic
set output output
set title title noenhanced
set ylabel unit noenhanced
set logscale xy 10
set grid
set key outside right noenhanced
plot for [i=0:curves - 1] data index i using 1:2:3 with yerrorlines pt 7 ps 0.5 \
	title columnheader(1)
