#pragma once
#define ENOMEM 12
