// templates: main > outer() > layer<3> > layer<2> > layer<1> > catcher > leaf, where `catcher` calls in the
// part of it that runs when an exception was caught.
#include "chain.h"

#include <stdexcept>
#include <string>

extern "C" FRAME void leaf(void)
{
    SPIN_LONG();
}

// A destructor that runs while the exception passes.
struct Guard {
    std::string name;
    ~Guard() { go_on += name.empty(); }
};

extern "C" FRAME int thrower(int number)
{
    Guard guard{std::string(static_cast<size_t>(number), 'x')};
    if (number > 0)
        throw std::runtime_error(guard.name);
    return number;
}

extern "C" FRAME int catcher(int number)
{
    try {
        return thrower(number);
    } catch (const std::runtime_error &error) {
        leaf();
        return error.what()[0];
    }
}

template <int N> FRAME int layer(int number)
{
    if constexpr (N > 1)
        return layer<N - 1>(number + N) + 1;
    else
        return catcher(number) + 1;
}

extern "C" FRAME int outer(int number)
{
    std::string kept(static_cast<size_t>(number) + 40, 'y');
    return layer<3>(number) + static_cast<int>(kept.size());
}

int main()
{
    announce();
    int sum = 0;
    while (go_on)
        sum += outer(20);
    return sum;
}
