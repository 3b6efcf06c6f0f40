#include <cstdio>
#include <chrono>
#include <cstdlib>
#include "model/transformer.h"
#include "measure.h"
using namespace pmt;
int main(){ auto t=std::move(*model::Transformer::load(getenv("PERMUTATION_MODEL"),2,{})); auto pool=std::move(*t->make_pool(512<<20));
 kv_cache::SequenceKv s(*pool,t->hparams().kv_shape()); std::vector<int> ids(512,1000); for(int i=0;i<512;i++) ids[i]=500+i*7;
 {model::BatchSpan b{&s,ids,{}}; (void)t->forward(*pool,{&b,1});}
 for(int outs=0;outs<2;outs++) for(int n=1;n<=16;n++){ std::vector<double> v; for(int r=0;r<30;r++){ model::BatchSpan b{&s,std::span(ids).first(n),{}}; if(outs) for(int i=0;i<n;i++) b.output_rows.push_back(i); else b.output_rows={n-1}; bench::Stopwatch w; (void)t->forward(*pool,{&b,1}); v.push_back(w.seconds()*1e3); s.truncate(512);} printf("outs %s rows %d: %.2f ms\n",outs?"all":"one",n,bench::median(v)); } }
