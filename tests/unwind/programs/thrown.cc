// thrown [SECONDS]: works in a destructor while an exception passes by, and where it is caught.
//
//     main > catcher > descend<5> > descend<4> > descend<3> > ~Guard > work
//     main > catcher > work
//     main > visitor > apply<...> > operator() > work
#include "../../workloads/spin.h"

#include <stdexcept>
#include <vector>

#undef FRAME
#define FRAME __attribute__((noinline, noclone, noipa))

FRAME void work()
{
    SPIN(3000000);
}

template <int Depth> struct Guard {
    volatile int depth = Depth;
    FRAME ~Guard()
    {
        if (depth == 3)
            work();
        KEEP_FRAME();
    }
};

template <int Depth> FRAME void descend(std::vector<int> &numbers)
{
    Guard<Depth> guard;
    numbers.push_back(Depth);
    if constexpr (Depth == 0)
        throw std::runtime_error("the way up");
    else
        descend<Depth - 1>(numbers);
    KEEP_FRAME();
}

FRAME void catcher()
{
    std::vector<int> numbers;
    try {
        descend<5>(numbers);
    } catch (const std::runtime_error &) {
        work();
    }
    KEEP_FRAME();
}

template <typename Action> FRAME void apply(const Action &action, int times)
{
    for (int time = 0; time < times; time++)
        action();
    KEEP_FRAME();
}

struct Worker {
    FRAME void operator()() const
    {
        work();
        KEEP_FRAME();
    }
};

FRAME void visitor()
{
    apply(Worker(), 2);
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end) {
        catcher();
        visitor();
    }
    return 0;
}
