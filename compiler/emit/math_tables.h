/* math_tables.h: coefficients, lowest order first. Written by fit.py, which says how they were found;
 * the last ones are terms of series. */
#ifndef GRADC_MATH_TABLES_H
#define GRADC_MATH_TABLES_H

/* exp(x) = 1 + x + x^2 q(x) */
/* on [-0.3469, 0.3469]: 3.1e-9 exact, 3.2e-9 rounded */
static const double c_exp32[] = {
  0x1.fffffcp-2, 0x1.55548cp-3, 0x1.55585ap-5, 0x1.123d80p-7, 0x1.6aba1ap-10};

/* on [-0.3469, 0.3469]: 3.7e-18 exact, 6.7e-18 rounded */
static const double c_exp64[] = {
  0x1.000000000000ap-1, 0x1.5555555555500p-3, 0x1.55555555505f5p-5, 0x1.1111111125aa3p-7, 0x1.6c16c184bb77dp-10,
  0x1.a01a013878688p-13, 0x1.a0199875c71f8p-16, 0x1.71defea1e81c4p-19, 0x1.28aefea3fd2b0p-22, 0x1.adca1d90824d0p-26};

/* log(1 + x) = x - x^2/2 + x^3 p(x) */
/* on [-0.2929, 0.4142]: 7.3e-10 exact, 1.7e-9 rounded */
static const double c_log32[] = {
  0x1.555546p-2, -0x1.ffffeep-3, 0x1.99a542p-3, -0x1.5562e2p-3, 0x1.233334p-3, -0x1.fb4166p-4, 0x1.e63d6ep-4,
  -0x1.e2dd0ap-4, 0x1.1b60c8p-4};

/* log(1 + x) = x + x^2 q(x) */
/* on [0.0, 1.0]: 5.1e-9 exact, 5.3e-9 rounded */
static const double c_softplus32[] = {
  -0x1.ffffd2p-2, 0x1.554dd0p-2, -0x1.ff23e6p-3, 0x1.934b54p-3, -0x1.3a435ep-3, 0x1.b4ae08p-4, -0x1.d6b08cp-5,
  0x1.4917cep-6, -0x1.af49cep-9};

/* log((1 + s) / (1 - s)) = 2 s + s^3 p(s^2) */
/* on [0.0, 0.02947]: 2.5e-18 exact, 2.5e-18 rounded */
static const double c_log64[] = {
  0x1.5555555555593p-1, 0x1.999999997f9edp-2, 0x1.249249422b635p-2, 0x1.c71c51d68cb1bp-3, 0x1.74664a01e4432p-3,
  0x1.39a08bc93368bp-3, 0x1.2f11ef2d676aap-3};

/* the same with 2/3 apart: 2 s + s^3 (2/3 + s^2 p(s^2)) */
/* on [0.0, 0.02947]: 1.5e-22 exact, 1.5e-22 rounded */
static const double c_log64_pow[] = {
  0x1.9999999999996p-2, 0x1.2492492492f55p-2, 0x1.c71c71c595c05p-3, 0x1.745d1829d8200p-3, 0x1.3b1364a09376dp-3,
  0x1.112076078a001p-3, 0x1.de3c427af3dadp-4, 0x1.ead03783a3778p-4};

/* tanh(x) = x + x^3 p(x^2) */
/* on [0.0, 0.8281]: 1.2e-9 exact, 1.2e-9 rounded */
static const double c_tanh32[] = {
  -0x1.55554ep-2, 0x1.110f2ep-3, -0x1.b9c80ep-5, 0x1.62dac2p-6, -0x1.0e6bdap-7, 0x1.50c6bcp-9, -0x1.d7c6cap-12};

/* on [0.0, 0.8281]: 1.1e-17 exact, 1.2e-17 rounded */
static const double c_tanh64[] = {
  -0x1.5555555555514p-2, 0x1.111111110d608p-3, -0x1.ba1ba1b7ce222p-5, 0x1.664f48263d4a3p-6, -0x1.226e2cc4ba6bfp-7,
  0x1.d6d2c77e578b8p-9, -0x1.7d986fcb328c4p-10, 0x1.3506101d4c271p-11, -0x1.f202f11213567p-13, 0x1.88ad13fb6f23ep-14,
  -0x1.212b813556a55p-15, 0x1.698f0b5021fc4p-17, -0x1.45596b41d2e76p-19, 0x1.2da7fccb78e6bp-22};

/* erf(x) = x + x p(x^2) */
/* on [0.0, 1.02]: 1.4e-9 exact, 1.4e-9 rounded */
static const double c_erf32[] = {
  0x1.06eba8p-3, -0x1.81273ep-2, 0x1.ce2ce6p-4, -0x1.b7f714p-6, 0x1.53f1bcp-8, -0x1.a34cdap-11, 0x1.4761c8p-14};

/* on [0.0, 1.02]: 9.2e-18 exact, 1.5e-17 rounded */
static const double c_erf64[] = {
  0x1.06eba8214db68p-3, -0x1.812746b03799dp-2, 0x1.ce2f21a03f8b9p-4, -0x1.b82ce311a81e1p-6, 0x1.565bccee79596p-8,
  -0x1.c02daea11488ep-11, 0x1.f9a29404379a2p-14, -0x1.f4c7fcb37e8ddp-17, 0x1.b969152a14611p-20,
  -0x1.5b7cc6497527cp-23, 0x1.d365b0c3b5bb8p-27, -0x1.a0b72aa8d5835p-31};

/* exp(x^2) erfc(x) as a function of x - 1 */
/* on [-0.02, 3.0]: 2.8e-9 exact, 5.2e-9 rounded */
static const double c_erfcx32[] = {
  0x1.b5d878p-2, -0x1.17c50cp-2, 0x1.3c2a5ap-3, -0x1.447952p-4, 0x1.31d75cp-5, -0x1.027b9cp-6, 0x1.6389bap-8,
  -0x1.491e64p-10, 0x1.1f0644p-13};

/* exp(x^2) erfc(x) (1 + 2 x) as a function of (x - 3) / (x + 3) */
/* on [-0.6043, 0.802]: 9.3e-18 exact, 7.2e-17 rounded */
static const double c_erfcx64[] = {
  0x1.40c522d7e4987p+0, -0x1.15c084bb9e8ffp-3, -0x1.85a15c58a9b84p-5, 0x1.098366a5b4ca5p-3, -0x1.e88b803a5f3c6p-4,
  0x1.17ca2877d936dp-4, -0x1.8574c402a0c99p-6, 0x1.4b884e6694313p-9, 0x1.ef1bd587613a4p-10, -0x1.98db52250495dp-11,
  -0x1.b90eb945a346bp-14, 0x1.0659cc8c81d4dp-13, 0x1.4b1114351c73ep-18, -0x1.511c8b647988cp-16,
  -0x1.7055a3621c480p-21, 0x1.ce54f3c386108p-19, 0x1.2f71590ac097ap-22, -0x1.2e31f324de05ep-21,
  -0x1.4aaf32e876789p-24, 0x1.cef0c6d03425ep-25, 0x1.fe519a329e120p-27};

/* sin(x) = x + x^3 p(x^2); cos(x) = 1 - x^2/2 + x^4 q(x^2) */
/* on [0.0, 0.6175]: 3.6e-9 exact, 3.7e-9 rounded */
static const double c_sin32[] = {
  -0x1.555546p-3, 0x1.11077cp-7, -0x1.9955b2p-13};

/* on [0.0, 0.6175]: 9.8e-11 exact, 1.1e-10 rounded */
static const double c_cos32[] = {
  0x1.55554ap-5, -0x1.6c0c16p-10, 0x1.99df18p-16};

/* on [0.0, 0.6175]: 3.5e-18 exact, 3.5e-18 rounded */
static const double c_sin64[] = {
  -0x1.5555555555549p-3, 0x1.111111110f896p-7, -0x1.a01a019c12c1ap-13, 0x1.71de357757096p-19, -0x1.ae5e652131d4ep-26,
  0x1.5d92800ce47c4p-33};

/* on [0.0, 0.6175]: 5.4e-20 exact, 5.5e-20 rounded */
static const double c_cos64[] = {
  0x1.555555555554ep-5, -0x1.6c16c16c155c1p-10, 0x1.a01a019d0e126p-16, -0x1.27e4f84519b85p-22, 0x1.1eea102dcaa73p-29,
  -0x1.8fbfc2f8c5772p-37};

/* atan(x) = x + x^3 p(x^2); asin likewise; sinh likewise */
/* on [0.0, 1.0]: 4.3e-18 exact, 8.6e-18 rounded */
static const double c_atan64[] = {
  -0x1.5555555555530p-2, 0x1.9999999996083p-3, -0x1.24924923a2272p-3, 0x1.c71c71872d4b2p-4, -0x1.745d1228a1a13p-4,
  0x1.3b136be381a5ap-4, -0x1.110e7a7e99c36p-4, 0x1.e1bd80613b1d0p-5, -0x1.ae666e6758f6bp-5, 0x1.82f532f395a83p-5,
  -0x1.59e7647b9f3b3p-5, 0x1.2cb4a3985d752p-5, -0x1.eb9b53ad0b66cp-6, 0x1.6a34244c074c6p-6, -0x1.cb3440d70554ap-7,
  0x1.dccd53cb46c5cp-8, -0x1.7f610dc84e1bcp-9, 0x1.bb29a25a7182ap-11, -0x1.455b2cd095594p-13, 0x1.c5a72b145daacp-17};

/* on [0.0, 0.2505]: 1.1e-18 exact, 1.1e-18 rounded */
static const double c_asin64[] = {
  0x1.5555555555570p-3, 0x1.333333332ebadp-4, 0x1.6db6db71b4300p-5, 0x1.f1c71ab088121p-6, 0x1.6e8bdc75a06e2p-6,
  0x1.1c4a13388229dp-6, 0x1.ca1ced8a5dc21p-7, 0x1.7596b39e8af4cp-7, 0x1.60f0b260f552bp-7, 0x1.e967adee63340p-9,
  0x1.62d6206e258abp-6, -0x1.573c547a22b03p-6, 0x1.0b22cca201c8bp-5};

/* on [0.0, 1.02]: 1.1e-19 exact, 2.7e-19 rounded */
static const double c_sinh64[] = {
  0x1.5555555555556p-3, 0x1.111111111101fp-7, 0x1.a01a01a036e86p-13, 0x1.71de3a3b5234cp-19, 0x1.ae646fa6059b3p-26,
  0x1.61171a04cc305p-33, 0x1.b5bb752ef145dp-41};

/* x^(-1/3) on [1, 8) */
/* on [1.0, 8.0]: 0.0013 exact, 0.0013 rounded */
static const double c_cbrt64[] = {
  0x1.80a191787a930p+0, -0x1.86a3684de4d1bp-1, 0x1.570cf01255941p-2, -0x1.689f893bb37c4p-4, 0x1.b209c3ff7ca2ap-7,
  -0x1.136e803535f70p-10, 0x1.1d3a0e924600dp-15};

/* lgamma(2 + z) = z p(z) for |z| <= 1/2, Taylor's: 1 - the Euler constant, then (-1)^k (zeta(k) - 1) / k */
static const double c_gamma64[] = {
  0x1.b0ee6072093cep-2, 0x1.4a34cc4a60fa6p-2, -0x1.13e001a557607p-4, 0x1.51322ac7d8483p-6, -0x1.e404fc218f5f2p-8,
  0x1.7add6eadb6c30p-9, -0x1.38ac5c2bf8e08p-10, 0x1.0b36af86396e9p-11, -0x1.d3fd4c76d2fc8p-13, 0x1.a127b0f17d65ap-14,
  -0x1.78de5bd7c81efp-15, 0x1.580dcee66eb02p-16, -0x1.3cbc963ce2243p-17, 0x1.2597a39f34aacp-18,
  -0x1.11b2eb7679541p-19, 0x1.0064cdeb22f0fp-20, -0x1.e2600d93cfd2fp-22, 0x1.c76bbb3f07a4dp-23,
  -0x1.af5a6cbbf8a97p-24, 0x1.99b93c2070b0fp-25, -0x1.862c734df3eacp-26, 0x1.7469daccfadcdp-27,
  -0x1.6434a8447aeadp-28, 0x1.555a877ffd2c3p-29, -0x1.47b1679258d0ep-30, 0x1.3b15d2b2fc10cp-31,
  -0x1.2f69a9fabe3e0p-32};

/* digamma(2 + z) = p(z), its derivative */
static const double c_digamma64[] = {
  0x1.b0ee6072093cep-2, 0x1.4a34cc4a60fa6p-1, -0x1.9dd002780310ap-3, 0x1.51322ac7d8483p-4, -0x1.2e831d94f99b7p-5,
  0x1.1c26130249124p-6, -0x1.1196d0a679c47p-7, 0x1.0b36af86396e9p-8, -0x1.073e7b02d6ae0p-9, 0x1.04b8ce96ee5f8p-10,
  -0x1.0318df2459954p-11, 0x1.020a5b2cd3042p-12, -0x1.01593a1177bd6p-13, 0x1.00e4af2b4e156p-14,
  -0x1.0097bcbf11bedp-15, 0x1.0064cdeb22f0fp-16, -0x1.0043073686681p-17, 0x1.002c9953744ccp-18,
  -0x1.001db08f9ba4ap-19, 0x1.0013c594466eap-20, -0x1.000d2bab28121p-21, 0x1.0008c66cec77dp-22,
  -0x1.0005d8f13858cp-23, 0x1.0003e59ffde12p-24, -0x1.000298ea55633p-25, 0x1.0001bb316ccdap-26,
  -0x1.0001276b90845p-27, 0x1.0000c4ed05ae3p-28, -0x1.0000834601a87p-29};

/* lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 = p(1 / x^2) / x, for x >= 8: B(2j) / (2j (2j - 1)) */
static const double c_stirling64[] = {
  0x1.5555555555555p-4, -0x1.6c16c16c16c17p-9, 0x1.a01a01a01a01ap-11, -0x1.3813813813814p-11, 0x1.b951e2b18ff23p-11,
  -0x1.f6ab0d9993c7dp-10, 0x1.a41a41a41a41ap-8, -0x1.e4286cb0f5398p-6, 0x1.6fe96381e0680p-3, -0x1.6476701181f3ap+0};

/* log x - 1 / (2 x) - digamma(x) = p(1 / x^2) / x^2, for x >= 8: B(2j) / 2j */
static const double c_slope64[] = {
  0x1.5555555555555p-4, -0x1.1111111111111p-7, 0x1.0410410410410p-8, -0x1.1111111111111p-8, 0x1.f07c1f07c1f08p-8,
  -0x1.5995995995996p-6, 0x1.5555555555555p-4, -0x1.c5e5e5e5e5e5ep-2, 0x1.86e7f9b9fe6e8p+1, -0x1.a74ca514ca515p+4,
  0x1.1975cc0ed7304p+8};

#endif
