#!/bin/sh
# Writes words.csv: the words of the founding documents in order, in small letters, those that occur less than five times as `rare`.
cd "$(dirname "$0")" || exit
awk 'BEGIN { print "word" }
  { s = tolower($0); gsub(/[^a-z]+/, " ", s); n = split(s, w, " "); for (i = 1; i <= n; i++) { all[++m] = w[i]; count[w[i]]++ } }
  END { for (i = 1; i <= m; i++) print (count[all[i]] > 4 ? all[i] : "rare") }' ../nano_gpt/us_founding.txt > words.csv
