# SPDX-License-Identifier: GPL-2.0
# Ratios as bars, one below the other, on a scale of powers. data: place, ratio, spread, label.
set terminal svg size 1000,(60 + 16 * rows) font "sans,11" background "white" dynamic
set output output
set title title noenhanced
set logscale x 10
set grid xtics
set yrange [-0.7:rows - 0.3]
set ytics noenhanced scale 0
set style fill solid 0.7 noborder
set boxwidth 0.7
set arrow from 1,graph 0 to 1,graph 1 nohead lc rgb "black"
unset key
stats data using 2 nooutput
set xrange [(STATS_min < 0.9 ? 0.8 * STATS_min : 0.8):(STATS_max > 1.1 ? 1.2 * STATS_max : 1.25)]
plot data using 2:1:(1):2:($1 - 0.35):($1 + 0.35):ytic(4) with boxxyerror lc rgb "#4477aa", \
	data using 2:1:3 with xerrorbars lc rgb "black" pt 0
