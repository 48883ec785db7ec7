/* print.c: the graph as text; parse.c reads it back. */
#include <math.h>
#include <string.h>

#include "form.h"

static void print_name(const char *name, Text *out) {
  text_add(out, "\"");
  for (const unsigned char *p = (const unsigned char *)(name ? name : ""); *p; p++) {
    if (*p == '"' || *p == '\\')
      text_printf(out, "\\%c", *p);
    else if (*p < ' ' || *p == 127)
      text_printf(out, "\\x%02x", *p);
    else
      text_add_bytes(out, (const char *)p, 1);
  }
  text_add(out, "\"");
}

static void print_slot(const Graph *g, uint32_t i, Text *out) {
  const Slot *slot = &g->slots.data[i];
  text_printf(out, "slot %u %s ", i, slot_words[slot->kind]);
  print_name(slot->name, out);
  text_printf(out, " %s ", type_word(slot->type));
  shape_print(shape_dims(g, slot->shape), out);
  if (slot->classes) text_printf(out, " classes %d", slot->classes);
  if (slot->kind == SLOT_OPTIMIZER) text_printf(out, " of %u", slot->of);
  text_add(out, "\n");
}

/* Every double has one text: a NaN with other bits than NAN's is written by its bits. */
static void print_constant(int64_t bits, Text *out) {
  const double plain = NAN;
  double value;
  memcpy(&value, &bits, sizeof value);
  if (isnan(value) && memcmp(&value, &plain, sizeof value))
    text_printf(out, " 0x%016llx", (unsigned long long)bits);
  else
    text_add(out, " "), text_add_number(out, value);
}

static void print_node(const Graph *g, Node node, Text *out) {
  const size_t begin = out->length;
  const Prim prim = node_prim(g, node);
  const uint32_t attr_count = node_attr_count(g, node);
  text_printf(out, "%%%u = %s", node.id, prim_info(prim)->word);
  for (uint32_t i = 0; i < node_data(g, node)->count; i++) text_printf(out, " %%%u", node_in(g, node, i).id);
  if (prim == P_CONST)
    print_constant(node_attr(g, node)[0], out);
  else if (prim == P_SLOT)
    text_printf(out, " %lld", (long long)node_attr(g, node)[0]);
  else if (attr_count) {
    for (uint32_t i = 0; i < attr_count; i++)
      text_printf(out, "%s%lld", i ? ", " : " {", (long long)node_attr(g, node)[i]);
    text_add(out, "}");
  }
  const size_t width = out->length - begin;
  text_printf(out, "%*s : %s ", width < 34 ? (int)(34 - width) : 0, "", type_word(node_type(g, node)));
  shape_print(node_dims(g, node), out);
  text_add(out, "\n");
}

static void print_output(const Output *o, Text *out) {
  text_printf(out, "out %s ", out_words[o->kind]);
  if (o->kind == OUT_SLOT)
    text_printf(out, "%u", o->slot);
  else
    print_name(o->name, out);
  text_printf(out, " %%%u", o->node.id);
  if (o->weight.id) text_printf(out, " / %%%u", o->weight.id);
  text_add(out, "\n");
}

void graph_print(const Graph *g, Text *out) {
  text_printf(out, "graph %s marks %u", type_word(g->float_type), g->marks);
  if (g->loops) text_printf(out, " loops %u", g->loops);
  text_add(out, "\n");
  for (uint32_t i = 0; i < g->slots.count; i++) print_slot(g, i, out);
  for (uint32_t i = 1; i < g->nodes.count; i++) print_node(g, (Node){i}, out);
  for (uint32_t i = 0; i < g->outputs.count; i++) print_output(&g->outputs.data[i], out);
}
